// Command conformance runs Kubernetes' CRI validation suite against Paddock,
// one spec at a time and then two at once, and compares the specs that failed
// with the list of exceptions. Its reports lie in build/conformance.
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
	"github.com/paddock-run/paddock/e2e/conformance"
)

var (
	focus    = flag.String("focus", "", "run only specs that match this regular expression, one at a time unless -parallel is given")
	parallel = flag.Int("parallel", 0, "specs to run at once; 0: a run with one and a run with two")
	handler  = flag.String("handler", "lcow", "runtime handler to test: lcow, or wcow, one spec at a time, by the specs that the suite also has on Windows")
)

func main() { command.Main("conformance", run, os.Interrupt, syscall.SIGTERM) }

func run(ctx context.Context) (err error) {
	root, err := checkout.Root()
	if err != nil {
		return err
	}
	out := filepath.Join(root, "build", "conformance")
	env, tempDir, err := conformance.Start(ctx, *handler, out, filepath.Join(root, "e2e"))
	defer func() { err = errors.Join(err, env.Close(filepath.Join(out, "paddock.log"))) }()
	if err != nil {
		return err
	}
	bin := filepath.Join(root, "build", "bin")
	suite := conformance.Suite{
		Critest: filepath.Join(bin, "critest"), GinkgoDir: bin,
		Socket: env.Socket, Handler: *handler, TempDir: tempDir, Focus: *focus,
	}
	var errs []error
	for _, n := range atOnce() {
		if ctx.Err() != nil {
			break
		}
		suite.Parallel = n
		errs = append(errs, pass(ctx, suite, out))
	}
	return errors.Join(errs...)
}

// atOnce is how many specs run at once, run by run.
func atOnce() []int {
	switch {
	case *parallel > 0:
		return []int{*parallel}
	case *focus != "" || *handler == conformance.Windows:
		return []int{1}
	}
	return []int{1, 2}
}

// pass runs the suite once and prints the result.
func pass(ctx context.Context, suite conformance.Suite, out string) error {
	name, suffix := "serial", ""
	if suite.Parallel > 1 {
		name, suffix = fmt.Sprintf("-parallel=%d", suite.Parallel), "-parallel"
	}
	if suite.Handler == conformance.Windows {
		suffix += "-" + suite.Handler
	}
	suite.JUnit = filepath.Join(out, "junit"+suffix+".xml")
	log, err := os.Create(filepath.Join(out, "critest"+suffix+".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	fmt.Printf("%s: running critest; its output: %s\n", name, log.Name())
	report, err := suite.Run(ctx, log)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for _, s := range report.Skipped {
		fmt.Println("SKIP", s)
	}
	for _, f := range report.Failed {
		fmt.Println("FAIL", f)
	}
	fmt.Printf("%s: %s\n", name, report.Summary())
	if n := len(report.Passed) + len(report.Failed); suite.Handler == conformance.Windows && suite.Focus == "" && n != conformance.WindowsSpecs {
		return fmt.Errorf("%s: %d specs ran, want %d", name, n, conformance.WindowsSpecs)
	}
	if err := report.Verdict(suite.Focus == "" && suite.Handler != conformance.Windows); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
