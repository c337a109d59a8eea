// Command sample shows Paddock at work, for `make run`: it starts the daemon, a
// registry, and a Linux and a Windows pod of one image name side by side, tells what
// came of them, and serves until Ctrl-C. Then
// it takes everything down and checks that nothing is left.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/paddock-run/paddock/e2e/command"
)

var once = flag.Bool("once", false, "end after the pods have run, instead of serving until Ctrl-C")

func main() { command.Main("sample", run, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP) }

func run(ctx context.Context) (err error) {
	if os.Geteuid() != 0 {
		return errors.New("run as root: pods need network namespaces and mounts")
	}
	e, err := prepare()
	if err != nil {
		return err
	}
	// After Ctrl-C too, and within a time of its own.
	defer func() {
		fmt.Println("\nTaking everything down ...")
		down, cancel := context.WithTimeout(context.Background(), 90*time.Second)
		defer cancel()
		closed := e.close(down)
		if closed == nil {
			fmt.Println("Nothing is left behind.")
		}
		if errors.Is(err, context.Canceled) {
			err = nil
		}
		err = errors.Join(err, closed)
	}()
	if err := e.start(ctx); err != nil {
		return err
	}
	var pods []samplePod
	for _, k := range kinds {
		pod, err := e.runPod(ctx, k)
		if err != nil {
			return err
		}
		pods = append(pods, pod)
	}
	if err := e.tell(ctx, pods); err != nil {
		return err
	}
	if *once {
		return nil
	}
	fmt.Println("\nServing until Ctrl-C.")
	return e.daemon.Wait(ctx)
}
