//go:build wine

package hyperv_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/podsandbox/vm"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/computecore"
)

// What the calls can fail with, and what callers are told.
var results = map[computecore.HRESULT]error{
	computecore.AccessDenied: nil, computecore.InvalidState: nil, computecore.RPCUnavailable: nil,
	computecore.OutOfMemory: vm.ErrUnsupported, computecore.SystemAlreadyExists: vm.ErrExists, computecore.InvalidArgument: vm.ErrInvalid,
}

// A failure of any call of a VM's making leaves nothing, and says what it was.
func TestFailuresOfCreate(t *testing.T) {
	needStandIn(t)
	for _, os := range []guest.OS{guest.Linux, guest.Windows} {
		t.Run(os.String(), func(t *testing.T) { failuresOfCreate(t, os) })
	}
}

func failuresOfCreate(t *testing.T, os guest.OS) {
	cfg := windowsConfig(t)
	h := newHost(t, cfg)
	for _, function := range []string{
		"HcsGrantVmAccess", "HcsCreateComputeSystem", "HcsCreateComputeSystem:result", "HcsSetComputeSystemCallback",
		"HcsGetComputeSystemProperties", "HcsGetComputeSystemProperties:result", "HcsStartComputeSystem",
	} {
		for code, class := range results {
			failCall(t, function, 0, 1, uint32(code))
			_, err := h.Create(t.Context(), vm.Config{ID: "failing", GuestOS: os})
			if !errors.Is(err, code) || class != nil && !errors.Is(err, class) {
				t.Errorf("%s fails with %v: %v", function, code, err)
			}
			standIn(t, "TestHeal")
			nothingLeft(t, function, cfg)
		}
	}
	// The second grant, and a start that fails when the machine runs already.
	for function, skip := range map[string]int{"HcsGrantVmAccess": 1, "HcsStartComputeSystem:result": 0} {
		if os == guest.Windows && skip > 0 {
			continue // it is given access to one file
		}
		failCall(t, function, skip, 1, uint32(computecore.AccessDenied))
		if _, err := h.Create(t.Context(), vm.Config{ID: "failing", GuestOS: os}); !errors.Is(err, computecore.AccessDenied) {
			t.Errorf("%s fails later: %v", function, err)
		}
		standIn(t, "TestHeal")
		nothingLeft(t, function, cfg)
	}
}

func nothingLeft(t *testing.T, what string, cfg hyperv.Config) {
	t.Helper()
	if all := left(t); len(all) > 0 {
		t.Errorf("%s: left %q", what, all)
	}
	if entries, err := os.ReadDir(cfg.StateDir); err != nil || len(entries) > 0 {
		t.Errorf("%s: left %v, %v", what, entries, err)
	}
}

// Failures of calls on a running VM change nothing; the VM's next calls work. Its
// service may end under it.
func TestFailuresOfARunningVM(t *testing.T) {
	needStandIn(t)
	cfg := newConfig(t)
	h := newHost(t, cfg)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	v, err := h.Create(ctx, vm.Config{ID: "troubled", GuestOS: guest.Linux})
	if err != nil {
		t.Fatal(err)
	}
	disk := vm.Disk{Path: newDisk(t), ReadOnly: true}
	nic := vm.NIC{ID: "eth0", MAC: []byte{2, 0, 0, 0, 0, 1}, Endpoint: vm.HCNEndpoint{ID: standIn(t, "TestEndpoint", endpointMAC)}}
	for _, c := range []struct {
		function string
		call     func() error
	}{
		{"HcsGrantVmAccess", func() error { _, err := v.AttachDisk(ctx, disk); return err }},
		{"HcsModifyComputeSystem", func() error { _, err := v.AttachDisk(ctx, disk); return err }},
		{"HcsModifyComputeSystem:result", func() error { _, err := v.AttachDisk(ctx, disk); return err }},
		{"HcsModifyComputeSystem", func() error { return v.AttachNIC(ctx, nic) }},
		{"HcsModifyComputeSystem", func() error { return v.Resize(ctx, vm.Resources{MemoryBytes: 512 << 20}) }},
		{"HcsGetComputeSystemProperties:result", func() error { _, err := v.Stats(ctx); return err }},
		{"HcsTerminateComputeSystem", func() error { return v.Terminate(ctx) }},
	} {
		for _, code := range []computecore.HRESULT{computecore.AccessDenied, computecore.InvalidState, computecore.RPCFailed} {
			before := len(left(t))
			failCall(t, c.function, 0, 1, uint32(code))
			if err := c.call(); !errors.Is(err, code) {
				t.Errorf("%s fails with %v: %v", c.function, code, err)
			}
			standIn(t, "TestHeal")
			if after := left(t); len(after) != before {
				t.Errorf("%s: %d were left, now %q", c.function, before, after)
			}
		}
	}
	a, err := v.AttachDisk(ctx, disk)
	if err != nil {
		t.Fatalf("after the failures: %v", err)
	}
	failCall(t, "HcsModifyComputeSystem", 0, 1, uint32(computecore.InvalidState))
	if err := v.DetachDisk(ctx, a); !errors.Is(err, computecore.InvalidState) {
		t.Errorf("detach: %v", err)
	}
	if err := v.DetachDisk(ctx, a); err != nil {
		t.Errorf("detach again: %v", err)
	}
	// The service ends, and is back: the VM is found again, its end noticed.
	standIn(t, "TestDisconnect", v.(*hyperv.VM).RuntimeID())
	if _, err := v.AttachDisk(ctx, disk); err != nil {
		t.Errorf("after the service's return: %v", err)
	}
	if err := v.(*hyperv.VM).Pause(ctx); err != nil {
		t.Error(err)
	}
	if err := v.(*hyperv.VM).Resume(ctx); err != nil {
		t.Error(err)
	}
	if _, err := v.Stats(ctx); err != nil {
		t.Error(err)
	}
	time.Sleep(100 * time.Millisecond) // the old handle's events have ended
	standIn(t, "TestKill", v.(*hyperv.VM).RuntimeID())
	select {
	case <-v.Exited():
	case <-ctx.Done():
		t.Fatal("the VM's end is not noticed after the service's return")
	}
	v.Close()
	if err := v.Release(); err != nil {
		t.Error(err)
	}
	nothingLeft(t, "release", cfg)
}
