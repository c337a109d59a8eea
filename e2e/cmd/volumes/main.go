// Command volumes runs real servers with their data on shared folders of the
// host's, kills their VMs, and checks that nothing acknowledged is lost.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/paddock-run/paddock/e2e/checkout"
	"github.com/paddock-run/paddock/e2e/command"
	"github.com/paddock-run/paddock/e2e/volumes"
)

var (
	only    = flag.String("only", "", "run only the servers whose name contains one of these words: postgres,maria")
	timeout = flag.Duration("timeout", 15*time.Minute, "time for the servers of one pod; more on a machine that does other things")
	prepare = flag.Bool("prepare", false, "make the images' layers, and run nothing")
)

func main() { command.Main("volumes", run, os.Interrupt, syscall.SIGTERM) }

func run(ctx context.Context) error {
	root, err := checkout.Root()
	if err != nil {
		return err
	}
	out := filepath.Join(root, "build", "volumes")
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	options := volumes.Options{Cache: filepath.Join(root, ".cache", "volumes"), Out: out, Only: *only, Timeout: *timeout}
	if *prepare {
		_, err := volumes.Prepare(ctx, options)
		return err
	}
	results, err := volumes.Run(ctx, options)
	fmt.Println()
	failed := 0
	for _, r := range results {
		if fmt.Println(r); r.Err != nil {
			failed++
		}
	}
	if failed > 0 {
		err = errors.Join(err, fmt.Errorf("%d of %d servers failed; logs: %s", failed, len(results), out))
	}
	return err
}
