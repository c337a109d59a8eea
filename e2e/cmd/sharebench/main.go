// Command sharebench measures a pod's shared folder beside QEMU's virtio-9p and
// virtiofs, and prints a table.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/paddock-run/paddock/e2e/checkout"
	"github.com/paddock-run/paddock/e2e/command"
	"github.com/paddock-run/paddock/e2e/sharebench"
)

var (
	rounds  = flag.Int("rounds", 3, "rounds, in each of which all are measured once")
	seconds = flag.Int("seconds", 5, "how long each of fio's jobs runs")
	files   = flag.Int("files", 200_000, "files in the folder that find goes through")
	prepare = flag.Bool("prepare", false, "make image and VMs, and measure nothing")
)

func main() { command.Main("sharebench", run, os.Interrupt, syscall.SIGTERM) }

func run(ctx context.Context) error {
	root, err := checkout.Root()
	if err != nil {
		return err
	}
	out := filepath.Join(root, "build", "sharebench")
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	options := sharebench.Options{
		Cache: filepath.Join(root, ".cache", "volumes"), Out: out, Rounds: *rounds, Seconds: *seconds, Files: *files,
	}
	if *prepare {
		_, err := sharebench.Prepare(ctx, options)
		return err
	}
	report, err := sharebench.Run(ctx, options, func(what string) { fmt.Println(what) })
	if err != nil {
		return err
	}
	text := report.Markdown()
	fmt.Print("\n", text)
	return os.WriteFile(filepath.Join(out, "table.md"), []byte(text), 0o644)
}
