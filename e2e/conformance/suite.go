package conformance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// digestSpec pulls an image by a digest that nobody can build again.
const digestSpec = "public image with digest should be pulled and removed"

// Suite is how critest is run.
type Suite struct {
	// Critest is the program; Ginkgo's folder holds ginkgo, needed when Parallel is above 1.
	Critest, GinkgoDir string
	// Socket and Handler are the runtime's.
	Socket, Handler string
	// TempDir gets the pods' logs and volumes.
	TempDir string
	// JUnit is the report to write.
	JUnit string
	// Focus limits the specs, by regular expression; empty means all.
	Focus string
	// Parallel is the number of specs to run at once.
	Parallel int
}

// Run runs the suite, its output to log, and reads the report. That specs
// failed is no error.
func (s Suite) Run(ctx context.Context, log *os.File) (*Report, error) {
	skips := []string{digestSpec}
	var args []string
	if s.Handler == Windows {
		skips = append(skips, windowsSkips...)
		args = append(args, "-ginkgo.skip-file="+onLinuxOnly)
	}
	args = append(args, "-ginkgo.skip="+strings.Join(skips, "|"))
	if s.Focus != "" {
		args = append(args, "-ginkgo.focus="+s.Focus)
	}
	if s.Parallel > 1 {
		args = append(args, "-parallel="+strconv.Itoa(s.Parallel))
	}
	return s.critest(ctx, log, args...)
}

// critest runs the program and reads its report.
func (s Suite) critest(ctx context.Context, log *os.File, args ...string) (*Report, error) {
	if err := os.MkdirAll(filepath.Dir(s.JUnit), 0o755); err != nil {
		return nil, err
	}
	if err := os.Remove(s.JUnit); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	args = append([]string{
		"-runtime-endpoint=unix://" + s.Socket, "-image-endpoint=unix://" + s.Socket,
		"-runtime-handler=" + s.Handler,
		"-config=" + filepath.Join(s.TempDir, "none.yaml"),
		"-ginkgo.no-color", "-ginkgo.timeout=2h", "-test.timeout=2h",
		"-ginkgo.junit-report=" + s.JUnit,
	}, args...)
	cmd := exec.CommandContext(ctx, s.Critest, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Minute
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.TempDir, log, log
	cmd.Env = append(os.Environ(), "TMPDIR="+s.TempDir, "PATH="+s.GinkgoDir+":"+os.Getenv("PATH"))
	segments, err := sharedMemory()
	if err != nil {
		return nil, err
	}
	start := time.Now()
	err = cmd.Run()
	wall := time.Since(start)
	if err := segments.removeOthers(); err != nil {
		return nil, err
	}
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return nil, err
	}
	report, readErr := readReport(s.JUnit)
	if readErr != nil {
		return nil, fmt.Errorf("critest (its output: %s): %w", log.Name(), errors.Join(err, readErr))
	}
	report.Wall = wall
	return report, nil
}
