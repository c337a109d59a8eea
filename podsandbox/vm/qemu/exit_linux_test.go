package qemu

import (
	"strings"
	"testing"
	"time"

	"github.com/paddock-run/paddock/podsandbox/vm"
)

func TestClassify(t *testing.T) {
	const stop = "runstate_set current_run_state 9 (running) new_state 7 (shutdown)\n"
	for name, c := range map[string]struct {
		log    string
		kind   vm.ExitKind
		detail string
	}{
		"powered off":  {"qemu_system_shutdown_request reason=6\n" + stop, vm.ExitShutdown, "powered off"},
		"panicked":     {"qemu_system_shutdown_request reason=8\n" + stop, vm.ExitCrash, "panicked"},
		"reset":        {stop, vm.ExitCrash, "reset"},
		"told to quit": {"qemu_system_shutdown_request reason=2\n" + stop, vm.ExitTerminated, "monitor"},
		"SIGTERM":      {"qemu_system_shutdown_request reason=4\n" + stop, vm.ExitKilled, "signal"},
		"kill -9":      {"runstate_set current_run_state 6 (prelaunch) new_state 9 (running)\n", vm.ExitKilled, "killed"},
		"assertion":    {"qemu: ../x.c:1: f: Assertion `a' failed.\n", vm.ExitKilled, "Assertion"},
		"nothing":      {"", vm.ExitKilled, "killed"},
		"binary":       {"\x1b[31m\xff\n", vm.ExitKilled, "??"},
	} {
		t.Run(name, func(t *testing.T) {
			kind, detail := classify([]byte(c.log))
			if kind != c.kind || !strings.Contains(detail, c.detail) && name != "binary" {
				t.Errorf("got %d, %q", kind, detail)
			}
			if strings.ContainsRune(detail, 0x1b) {
				t.Errorf("control characters in %q", detail)
			}
		})
	}
}

func FuzzClassify(f *testing.F) {
	f.Add([]byte("qemu_system_shutdown_request reason=6\n"))
	f.Add([]byte("[    1.0] Kernel panic - not syncing: \xff\x00\n"))
	f.Fuzz(func(t *testing.T, log []byte) {
		kind, detail := classify(log)
		if kind == 0 || detail == "" || len(detail) > 2000 {
			t.Errorf("kind %d, %d bytes of detail", kind, len(detail))
		}
		panicLine(log)
	})
}

func TestJudgeKVM(t *testing.T) {
	if p := judge(time.Millisecond); !p.Usable || p.Reason == "" {
		t.Errorf("1 ms: %+v", p)
	}
	if p := judge(106 * time.Millisecond); p.Usable || p.Reason == "" {
		t.Errorf("106 ms: %+v", p)
	}
	if _, err := parseProbe([]byte("usage: paddock")); err == nil {
		t.Error("took some output for a result")
	}
}
