// Command mkguest builds the guest image: see package image.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"text/tabwriter"

	"github.com/paddock-run/paddock/guest/image"
)

func main() {
	o := image.Options{Log: os.Stderr}
	flag.StringVar(&o.Out, "out", "build/guest", "directory for the results")
	flag.StringVar(&o.Cache, "cache", ".cache/guest", "directory for downloads")
	flag.StringVar(&o.Agent, "agent", "build/paddock-agent", "the agent's program")
	flag.StringVar(&o.Crun, "crun", "build/crun", "the OCI runtime's program")
	flag.StringVar(&o.Mirror, "mirror", "http://deb.debian.org", "base URL of the Debian archives")
	init := flag.String("wininit", "build/paddock-wininit.exe", "the program that starts Windows processes; empty: no Wine disk")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	m, err := image.Build(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mkguest:", err)
		os.Exit(1)
	}
	report(m)
	if *init == "" {
		return
	}
	if err := buildWine(ctx, o, *init); err != nil {
		fmt.Fprintln(os.Stderr, "mkguest:", err)
		os.Exit(1)
	}
}

// report prints what was made. On disk the guest is the packed kernel and the
// initrd; the ELF kernel comes out of the former.
func report(m image.Manifest) {
	fmt.Printf("guest image: kernel %s, %d packages\n", m.Kernel, len(m.Packages))
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	var packed int64
	for _, f := range m.Files {
		fmt.Fprintf(w, "%s\t%.1f MB\t\n", f.Name, float64(f.Bytes)/1e6)
		if f.Name == image.KernelFile || f.Name == image.InitrdFile {
			packed += f.Bytes
		}
	}
	fmt.Fprintf(w, "%s + %s\t%.1f MB\t\n", image.KernelFile, image.InitrdFile, float64(packed)/1e6)
	w.Flush()
}
