// Command posix runs suites of file system tests that others wrote in a pod, on
// a shared folder and on the pod's own ext4, and prints the results side by
// side. It fails if a case fails on the share and not on ext4, unless that is explained.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/paddock-run/paddock/e2e/checkout"
	"github.com/paddock-run/paddock/e2e/command"
	"github.com/paddock-run/paddock/e2e/posix"
)

var (
	only    = flag.String("only", "", "run only the suites whose name contains one of these words: libfuse,lmdb")
	prepare = flag.Bool("prepare", false, "make the image, and run nothing")
)

func main() { command.Main("posix", run, os.Interrupt, syscall.SIGTERM) }

func run(ctx context.Context) error {
	root, err := checkout.Root()
	if err != nil {
		return err
	}
	options := posix.Options{
		Root: root, Cache: filepath.Join(root, ".cache", "volumes"), Out: filepath.Join(root, "build", "posix"), Only: *only,
	}
	if err := os.MkdirAll(options.Out, 0o755); err != nil {
		return err
	}
	if *prepare {
		_, err := posix.Prepare(ctx, options)
		return err
	}
	differ := 0
	err = posix.Run(ctx, options, func(c posix.Comparison) {
		fmt.Println(c.Suite)
		for _, line := range c.Lines {
			fmt.Println("  " + line)
		}
		if c.Differs {
			differ++
		}
	})
	if differ > 0 {
		err = errors.Join(err, fmt.Errorf("%d suites have cases that pass on ext4 and not on the share; outputs: %s", differ, options.Out))
	}
	return err
}
