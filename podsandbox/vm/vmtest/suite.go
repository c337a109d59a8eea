package vmtest

import (
	"context"
	"testing"
	"time"

	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

// Backend is an implementation under test, and the means to hurt its VMs.
type Backend struct {
	// New returns a Host without VMs, on state of its own. The suite closes it.
	New func(t *testing.T) vm.Host
	// Reopen returns a new Host on the state of h, which has been closed.
	Reopen func(t *testing.T, h vm.Host) vm.Host
	// Kill ends the VM's host process by force.
	Kill func(t *testing.T, v vm.VM)
	// Crash makes the VM's guest kernel panic. The VM may have been closed.
	Crash func(t *testing.T, v vm.VM)
	// Disk makes a file that can be attached.
	Disk func(t *testing.T) string
	// Tap makes a NIC's endpoint; nil where the machine running the test cannot.
	Tap func(t *testing.T) vm.Endpoint
	// NICSlots is how many NICs a VM takes.
	NICSlots int
	// DiskSlots is how many disks a VM takes.
	DiskSlots int
	// EndedAway is what is told of a VM that ended while no Host was open, where
	// the machine keeps no record of how; 0: how it really ended.
	EndedAway vm.ExitKind
	// Left names what is left of VMs on the Host's machine: processes, files. Called
	// when all VMs have been released.
	Left func(t *testing.T, h vm.Host) []string
}

// patience bounds every wait of the suite: it only ever ends a failed test.
const patience = 2 * time.Minute

// TestHost runs the contract of vm.Host and vm.VM against an implementation.
func TestHost(t *testing.T, b Backend) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, s *suite)
	}{
		{"bad configs", testBadConfigs},
		{"unknown VMs", testUnknown},
		{"cancelled creation leaves nothing", testCancelledCreate},
		{"life", testLife},
		{"disks", testDisks},
		{"NICs", testNICs},
		{"born with a NIC", testBornNIC},
		{"a cgroup later", testJoinCgroup},
		{"daemon restart", testRestart},
		{"terminate", testTerminate},
		{"kill", testKill},
		{"crash", testCrash},
		{"ended while nobody looked", testEndedAway},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &suite{Backend: b, host: b.New(t)}
			t.Cleanup(func() { s.cleanUp(t) })
			c.run(t, s)
		})
	}
}

// suite is one case's Host.
type suite struct {
	Backend
	host vm.Host
}

func (s *suite) context(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func (s *suite) create(t *testing.T, id string) vm.VM {
	t.Helper()
	v, err := s.host.Create(s.context(t), vm.Config{ID: id, GuestOS: guest.Linux, Resources: vm.Resources{MemoryBytes: 256 << 20, CPUs: 1}})
	if err != nil {
		t.Fatalf("create: %v", err)
	}
	if v.ID() != id {
		t.Fatalf("created VM %q, asked for %q", v.ID(), id)
	}
	return v
}

// restart is the daemon's: everything closed, a new Host on the same state.
func (s *suite) restart(t *testing.T, open ...vm.VM) {
	t.Helper()
	for _, v := range open {
		if err := v.Close(); err != nil {
			t.Errorf("close VM: %v", err)
		}
	}
	if err := s.host.Close(); err != nil {
		t.Errorf("close host: %v", err)
	}
	s.host = s.Reopen(t, s.host)
}

func (s *suite) open(t *testing.T, id string) vm.VM {
	t.Helper()
	v, err := s.host.Open(s.context(t), id)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return v
}

// ended waits for the end of a VM and checks its reason.
func ended(t *testing.T, v vm.VM, want vm.ExitKind) {
	t.Helper()
	select {
	case <-v.Exited():
	case <-time.After(patience):
		t.Fatal("the VM does not end")
	}
	e := v.ExitReason()
	if e.Kind != want || e.Detail == "" || e.Time.IsZero() {
		t.Fatalf("exit reason %+v, want kind %d with time and detail", e, want)
	}
}

func release(t *testing.T, v vm.VM) {
	t.Helper()
	if err := v.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	for range 2 {
		if err := v.Release(); err != nil {
			t.Errorf("release: %v", err)
		}
	}
}

// cleanUp ends what a failed case left, and complains about what a good one left.
func (s *suite) cleanUp(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ids, err := s.host.List(ctx)
	if err != nil {
		t.Errorf("list: %v", err)
	}
	if len(ids) > 0 && !t.Failed() {
		t.Errorf("not released: %v", ids)
	}
	for _, id := range ids {
		if v, err := s.host.Open(ctx, id); err == nil {
			_ = v.Terminate(ctx)
			_ = v.Close()
			_ = v.Release()
		}
	}
	if left := s.Left(t, s.host); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := s.host.Close(); err != nil {
		t.Errorf("close host: %v", err)
	}
}
