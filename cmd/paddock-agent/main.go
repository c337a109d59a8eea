//go:build linux

// Command paddock-agent is PID 1 of a utility VM. Run with the argument
// "pause" it is PID 1 of a pod's shared PID namespace instead, which only
// reaps; with "mounts" it serves to the node what containers have mounted; with "rehearse" it ends at once; run as "modprobe" it loads a kernel module for the kernel.
package main

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/guest/agent"
	"github.com/paddock-run/paddock/guest/agent/boot"
	"github.com/paddock-run/paddock/guest/agent/reaper"
)

func main() {
	if filepath.Base(os.Args[0]) == "modprobe" {
		modprobe(os.Args[1:])
	}
	if len(os.Args) > 1 && os.Args[1] == agent.PauseArg {
		agent.Pause()
	}
	if len(os.Args) > 1 && os.Args[1] == agent.MountServerArg {
		if err := agent.ServeMounts(); err != nil {
			klog.Exit("Serve mounts to the node: ", err)
		}
		return
	}
	if os.Getpid() != 1 {
		klog.Exit("paddock-agent is the first process of a utility VM and does nothing elsewhere")
	}
	if err := run(); err != nil {
		// PID 1's end is the VM's: the kernel panics and the host is told at once.
		klog.ErrorS(err, "The agent cannot go on")
		os.Exit(1)
	}
}

func run() error {
	if err := boot.Run(); err != nil {
		return err
	}
	cmdline, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return err
	}
	emulated := slices.Contains(strings.Fields(string(cmdline)), guest.EmulatedArg)
	tuneRuntime(emulated)
	a, err := agent.New(reaper.Start(), emulated)
	if err != nil {
		return err
	}
	return a.Listen(context.Background())
}

// tuneRuntime has Go's own threads get in the way of the pod's less.
func tuneRuntime(emulated bool) {
	// With one processor Go's monitor wakes up every 20 us to take it from whoever
	// is in a system call; if another is idle, it need not.
	runtime.GOMAXPROCS(max(2, runtime.NumCPU()))
	if err := slowMonitor(); err != nil {
		klog.ErrorS(err, "Go's monitor thread stays as it is")
	}
	if emulated { // a collection takes as long as a container's start
		debug.SetGCPercent(400)
	}
}

// modprobe is called by the kernel as: modprobe -q -- <name or alias>.
func modprobe(args []string) {
	for _, arg := range args {
		if strings.HasPrefix(arg, "-") {
			continue
		}
		if err := boot.Modprobe(arg); err != nil {
			os.Exit(1)
		}
	}
	os.Exit(0)
}
