// Command conformance runs Kubernetes' CRI validation suite against Paddock and
// prints which specs passed. Its report lies in build/conformance.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/paddock-run/paddock/e2e/checkout"
	"github.com/paddock-run/paddock/e2e/conformance"
)

var (
	focus    = flag.String("focus", "", "run only specs that match this regular expression")
	parallel = flag.Int("parallel", 1, "specs to run at once")
	handler  = flag.String("handler", "lcow", "runtime handler to test")
)

func main() {
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	root, err := checkout.Root()
	if err != nil {
		return err
	}
	out := filepath.Join(root, "build", "conformance")
	bin := filepath.Join(root, "build", "bin")
	log, err := os.Create(filepath.Join(out, "critest.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	env, err := conformance.Start(ctx, filepath.Join(out, "busybox"), filepath.Join(root, "e2e"))
	defer func() { err = errors.Join(err, env.Close(filepath.Join(out, "paddock.log"))) }()
	if err != nil {
		return err
	}
	fmt.Println("running critest; its output:", log.Name())
	report, err := conformance.Suite{
		Critest: filepath.Join(bin, "critest"), GinkgoDir: bin,
		Socket: env.Socket, Handler: *handler, TempDir: env.TempDir,
		JUnit: filepath.Join(out, "junit.xml"), Focus: *focus, Parallel: *parallel,
	}.Run(ctx, log)
	if err != nil {
		return err
	}
	for _, s := range report.Skipped {
		fmt.Println("SKIP", s)
	}
	for _, f := range report.Failed {
		fmt.Println("FAIL", f)
	}
	fmt.Println(report.Summary())
	if len(report.Failed) > 0 {
		return fmt.Errorf("%d specs failed", len(report.Failed))
	}
	return nil
}
