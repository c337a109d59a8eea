package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/paddock-run/paddock/e2e/bench"
	"github.com/paddock-run/paddock/e2e/checkout"
	"github.com/paddock-run/paddock/e2e/conformance"
)

// critest runs Kubernetes' validation suite and its benchmarks on both
// runtimes in turn. The output is in build/bench.
func (b *setup) critest(ctx context.Context) error {
	if *suites+*benchmarks == 0 {
		return nil
	}
	if err := b.prepareCritest(ctx); err != nil {
		return err
	}
	var errs []error
	for i := range *suites {
		for n, s := range b.subjects {
			fmt.Printf("critest -parallel=2, %d of %d: %s\n", i+1, *suites, s.Name)
			errs = append(errs, b.suite(ctx, n))
		}
	}
	for i := range *benchmarks {
		for n, s := range b.subjects {
			fmt.Printf("critest -benchmark, %d of %d: %s\n", i+1, *benchmarks, s.Name)
			errs = append(errs, b.benchmark(ctx, n))
		}
	}
	return errors.Join(errs...)
}

// prepareCritest pushes the suite's images and says where things are.
func (b *setup) prepareCritest(ctx context.Context) error {
	root, err := checkout.Root()
	if err != nil {
		return err
	}
	busybox, err := checkout.Built("conformance/busybox", "bench")
	if err != nil {
		return err
	}
	critest, err := checkout.Built("bin/critest", "bench")
	if err != nil {
		return err
	}
	if err := conformance.PushImages(ctx, b.reg, filepath.Dir(busybox), filepath.Join(root, "e2e")); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(root, "build", "bench"), 0o755); err != nil {
		return err
	}
	for i := range b.suites {
		s := &b.suites[i]
		s.Critest, s.GinkgoDir, s.Parallel, s.Focus = critest, filepath.Dir(critest), 2, *focus
		s.TempDir = filepath.Join(b.dir, fmt.Sprintf("critest-%d", i))
		s.JUnit = filepath.Join(root, "build", "bench", fmt.Sprintf("junit-%d.xml", i))
		if err := os.MkdirAll(s.TempDir, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// log is the file of one runtime's critest output.
func (b *setup) log(n int) (*os.File, error) {
	name := strings.TrimSuffix(b.suites[n].JUnit, ".xml") + ".log"
	return os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
}

// suite takes the time of the suite; a run in which a spec fails that should not is not one.
func (b *setup) suite(ctx context.Context, n int) error {
	log, err := b.log(n)
	if err != nil {
		return err
	}
	defer log.Close()
	s := b.subjects[n]
	report, err := b.suites[n].Run(ctx, log)
	if err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	fmt.Println(report.Summary())
	if n == 0 {
		err = report.Verdict(*focus == "")
	} else if len(report.Failed) > 0 {
		err = fmt.Errorf("critest: failed: %s", strings.Join(report.Failed, "; "))
	}
	if err != nil {
		return fmt.Errorf("%s: the time does not count: %w", s.Name, err)
	}
	s.Add(bench.SuiteWall, report.Wall.Seconds())
	return nil
}

func (b *setup) benchmark(ctx context.Context, n int) error {
	log, err := b.log(n)
	if err != nil {
		return err
	}
	defer log.Close()
	s := b.subjects[n]
	took, err := b.suites[n].Benchmark(ctx, log, conformance.Benchmark{Pods: samples, Containers: samples})
	if err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	for call, durations := range took {
		for _, d := range durations {
			s.Add(bench.CritestRow(call), float64(d)/float64(time.Millisecond))
		}
	}
	return nil
}
