package vmtest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

func testBadConfigs(t *testing.T, s *suite) {
	good := vm.Config{ID: "good", GuestOS: guest.Linux, Resources: vm.Resources{MemoryBytes: 256 << 20}}
	for name, break_ := range map[string]func(*vm.Config){
		"no id":          func(c *vm.Config) { c.ID = "" },
		"long id":        func(c *vm.Config) { c.ID = strings.Repeat("a", 65) },
		"path as id":     func(c *vm.Config) { c.ID = "../x" },
		"capitals":       func(c *vm.Config) { c.ID = "ABC" },
		"NUL":            func(c *vm.Config) { c.ID = "a\x00" },
		"comma":          func(c *vm.Config) { c.ID = "a,b" },
		"no OS":          func(c *vm.Config) { c.GuestOS = 0 },
		"unknown OS":     func(c *vm.Config) { c.GuestOS = 9 },
		"tiny memory":    func(c *vm.Config) { c.Resources.MemoryBytes = 1 },
		"huge memory":    func(c *vm.Config) { c.Resources.MemoryBytes = 1 << 63 },
		"too many CPUs":  func(c *vm.Config) { c.Resources.CPUs = 1 << 31 },
		"newline in id":  func(c *vm.Config) { c.ID = "a\n" },
		"space in an id": func(c *vm.Config) { c.ID = "a b" },
	} {
		t.Run(name, func(t *testing.T) {
			c := good
			break_(&c)
			v, err := s.host.Create(s.context(t), c)
			if !errors.Is(err, vm.ErrInvalid) {
				t.Errorf("got %v, %v, want ErrInvalid", v, err)
			}
		})
	}
}

func testUnknown(t *testing.T, s *suite) {
	if _, err := s.host.Open(s.context(t), "nobody"); !errors.Is(err, vm.ErrNotFound) {
		t.Errorf("open: %v, want ErrNotFound", err)
	}
	if v, err := s.host.Open(s.context(t), "../.."); err == nil {
		t.Errorf("opened %v by a path", v)
	}
	if i := s.host.Info(); i.Backend == "" || i.Accelerator == "" || i.Channel == "" || i.Details == "" {
		t.Errorf("info %+v has gaps", i)
	}
}

func testCancelledCreate(t *testing.T, s *suite) {
	for name, after := range map[string]time.Duration{"before": 0, "at once": time.Millisecond, "on the way": 100 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), after)
			defer cancel()
			v, err := s.host.Create(ctx, vm.Config{ID: "cancelled", GuestOS: guest.Linux})
			if err == nil { // as quick as that: fine
				if err := v.Terminate(s.context(t)); err != nil {
					t.Error(err)
				}
				release(t, v)
				return
			}
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error %v does not say why", err)
			}
			if ids, err := s.host.List(t.Context()); err != nil || len(ids) > 0 {
				t.Errorf("list: %v, %v", ids, err)
			}
			if left := s.Left(t, s.host); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func testRestart(t *testing.T, s *suite) {
	v := s.create(t, "lasting")
	disk := s.Disk(t)
	addr, err := v.AttachDisk(s.context(t), vm.Disk{Path: disk, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	s.restart(t, v)
	if ids, err := s.host.List(t.Context()); err != nil || !slices.Equal(ids, []string{"lasting"}) {
		t.Fatalf("list: %v, %v", ids, err)
	}
	if _, err := s.host.Create(t.Context(), vm.Config{ID: "lasting", GuestOS: guest.Linux}); !errors.Is(err, vm.ErrExists) {
		t.Errorf("create over it: %v, want ErrExists", err)
	}
	v = s.open(t, "lasting")
	handshake(t, s, v)
	if _, err := v.AttachDisk(s.context(t), vm.Disk{Path: disk}); !errors.Is(err, vm.ErrExists) {
		t.Errorf("attach what an earlier process attached: %v, want ErrExists", err)
	}
	other, err := v.AttachDisk(s.context(t), vm.Disk{Path: s.Disk(t)})
	if err != nil || other == addr {
		t.Errorf("attach a further disk: %v at %v, first one at %v", err, other, addr)
	}
	if err := v.DetachDisk(s.context(t), addr); err != nil {
		t.Errorf("detach what an earlier process attached: %v", err)
	}
	s.Kill(t, v) // noticed by a process that is not its parent
	ended(t, v, vm.ExitKilled)
	release(t, v)
}

func testEndedAway(t *testing.T, s *suite) {
	killed, crashed := s.create(t, "killed"), s.create(t, "crashed")
	if err := errors.Join(killed.Close(), crashed.Close()); err != nil {
		t.Error(err)
	}
	s.Kill(t, killed)
	s.Crash(t, crashed)
	s.restart(t)
	for id, want := range map[string]vm.ExitKind{"killed": vm.ExitKilled, "crashed": vm.ExitCrash} {
		if s.EndedAway != 0 {
			want = s.EndedAway
		}
		v := s.open(t, id)
		ended(t, v, want)
		first := v.ExitReason()
		v.Close()
		v = s.open(t, id)
		if again := v.ExitReason(); again.Kind != first.Kind || !again.Time.Equal(first.Time) {
			t.Errorf("reason was %+v, now %+v", first, again)
		}
		release(t, v)
		if _, err := s.host.Open(t.Context(), id); !errors.Is(err, vm.ErrNotFound) {
			t.Errorf("open what was released: %v, want ErrNotFound", err)
		}
	}
}
