package qemu

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/podsandbox/vm"
)

// watch waits for the end of the process.
func (v *VM) watch() {
	defer close(v.stopped)
	if v.process.wait(v.stopR) {
		v.console.drain()
		v.finish()
	}
}

// finish settles how the VM ended. A reason found once stays, across daemons.
func (v *VM) finish() {
	file := filepath.Join(v.dir, exitFile)
	if err := readJSON(file, &v.exit); err != nil || v.exit.Kind == 0 {
		v.exit = v.reason()
		if err := writeJSON(file, v.exit); err != nil && !os.IsNotExist(err) {
			klog.ErrorS(err, "Cannot note how a VM ended", "vm", v.state.ID)
		}
	}
	close(v.exited)
}

func (v *VM) reason() vm.Exit {
	e := vm.Exit{Time: time.Now()}
	if v.state.BootID != v.host.bootID {
		e.Kind, e.Detail = vm.ExitHostLost, "the host has been restarted since, or died making the VM"
		return e
	}
	if v.state.PID == 0 {
		e.Kind, e.Detail = vm.ExitKilled, "the daemon died while making the VM"
		return e
	}
	if _, err := os.Stat(filepath.Join(v.dir, terminatedFile)); err == nil {
		e.Kind, e.Detail = vm.ExitTerminated, "terminated by the host"
		return e
	}
	e.Kind, e.Detail = classify(tail(filepath.Join(v.dir, logFile)))
	if e.Kind == vm.ExitCrash {
		if p := panicLine(tail(filepath.Join(v.dir, consoleFile))); p != "" {
			e.Detail += ": " + p
		}
	}
	return e
}

// Why QEMU shut down, by the number in its trace (its ShutdownCause).
const (
	causeQMPQuit       = "2"
	causeHostSignal    = "4"
	causeGuestShutdown = "6"
	causeGuestReset    = "7"
	causeGuestPanic    = "8"
)

var (
	causeTrace = regexp.MustCompile(`qemu_system_shutdown_request reason=(\d+)`)
	stopTrace  = regexp.MustCompile(`runstate_set .*\((shutdown|guest-panicked|internal-error)\)`)
)

// classify reads the end of a VM from QEMU's log. A guest's reset, which is how
// a panicked kernel ends, goes through QEMU's orderly end without a cause;
// kill -9 leaves no trace at all.
func classify(log []byte) (vm.ExitKind, string) {
	var cause string
	if all := causeTrace.FindAllSubmatch(log, -1); len(all) > 0 {
		cause = string(all[len(all)-1][1])
	}
	switch cause {
	case causeGuestShutdown:
		return vm.ExitShutdown, "the guest powered off"
	case causeGuestPanic:
		return vm.ExitCrash, "the guest's kernel panicked"
	case causeGuestReset:
		return vm.ExitCrash, "the guest reset"
	case causeQMPQuit:
		return vm.ExitTerminated, "ended through QEMU's monitor"
	case causeHostSignal:
		return vm.ExitKilled, "QEMU was told to end by a signal"
	}
	if stopTrace.Match(log) {
		return vm.ExitCrash, "the guest reset, as it does when its kernel panics"
	}
	detail := "QEMU was killed or failed"
	if words := lastWords(log); words != "" {
		detail += ": " + words
	}
	return vm.ExitKilled, detail
}

// lastWords is the last line of QEMU's log that is no trace.
func lastWords(log []byte) string {
	lines := bytes.Split(bytes.TrimSpace(log), []byte("\n"))
	for i := len(lines) - 1; i >= 0; i-- {
		if l := string(bytes.TrimSpace(lines[i])); l != "" && !strings.Contains(l, "runstate_set") {
			return printable(l)
		}
	}
	return ""
}

func panicLine(console []byte) string {
	for line := range bytes.Lines(console) {
		if i := bytes.Index(line, []byte("Kernel panic")); i >= 0 {
			return printable(string(bytes.TrimSpace(line[i:])))
		}
	}
	return ""
}

// printable makes a line of a guest's making safe to log.
func printable(s string) string {
	const most = 300
	if len(s) > most {
		s = s[:most]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return '?'
		}
		return r
	}, s)
}

// tail is the end of a file, up to 16 KiB; nothing if it cannot be read.
func tail(file string) []byte {
	f, err := os.Open(file)
	if err != nil {
		return nil
	}
	defer f.Close()
	const most = 16 << 10
	if st, err := f.Stat(); err == nil && st.Size() > most {
		_, _ = f.Seek(-most, io.SeekEnd)
	}
	data, _ := io.ReadAll(io.LimitReader(f, most))
	return data
}

func quoteTail(file string) string {
	if words := lastWords(tail(file)); words != "" {
		return " (QEMU says: " + words + ")"
	}
	return ""
}

// explain adds what QEMU and the guest's console said to the error of a boot.
func (v *VM) explain(err error) error {
	if v.running() != nil {
		err = fmt.Errorf("%w: %s", err, v.exit.Detail)
	}
	if words := lastWords(tail(filepath.Join(v.dir, consoleFile))); words != "" {
		return fmt.Errorf("%w (last on the guest's console: %q)", err, words)
	}
	return err
}

// Terminate implements vm.VM.
func (v *VM) Terminate(ctx context.Context) error {
	if err := v.running(); err != nil {
		return err
	}
	// Noted first, so that a daemon dying here does not take it for a crash.
	if err := os.WriteFile(filepath.Join(v.dir, terminatedFile), nil, 0o600); err != nil {
		return fmt.Errorf("terminate VM %s: %w", v.state.ID, err)
	}
	if err := v.process.kill(); err != nil {
		return fmt.Errorf("terminate VM %s: kill process %d: %w", v.state.ID, v.state.PID, err)
	}
	return v.awaitExit(ctx, "terminate")
}

func (v *VM) awaitExit(ctx context.Context, what string) error {
	select {
	case <-v.exited:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s VM %s: %w", what, v.state.ID, ctx.Err())
	}
}
