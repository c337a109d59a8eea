package vmtest

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/paddock-run/paddock/podsandbox/vm"
)

func testDisks(t *testing.T, s *suite) {
	v := s.create(t, "disks")
	defer end(t, s, v)
	ctx := s.context(t)
	for name, d := range map[string]vm.Disk{
		"relative": {Path: "disk"}, "unclean": {Path: "/tmp/../etc/passwd"}, "a directory": {Path: "/"},
	} {
		if _, err := v.AttachDisk(ctx, d); err == nil {
			t.Errorf("attached %s", name)
		}
	}
	if _, err := v.AttachDisk(ctx, vm.Disk{Path: filepath.Join(t.TempDir(), "missing")}); err == nil {
		t.Error("attached a missing file")
	}
	if err := v.DetachDisk(ctx, vm.DiskAddress{LUN: 3}); !errors.Is(err, vm.ErrNotFound) {
		t.Errorf("detach nothing: %v, want ErrNotFound", err)
	}
	if err := v.DetachDisk(ctx, vm.DiskAddress{Controller: 7}); !errors.Is(err, vm.ErrNotFound) {
		t.Errorf("detach from no controller: %v, want ErrNotFound", err)
	}
	for _, content := range []vm.Content{vm.LayerContent, vm.FileContent} {
		if _, err := v.AttachDisk(ctx, vm.Disk{Path: t.TempDir(), Content: content}); !errors.Is(err, vm.ErrUnsupported) {
			t.Errorf("a folder for a Linux guest, content %d: %v, want ErrUnsupported", content, err)
		}
	}
	path := s.Disk(t)
	for range 3 {
		addr, err := v.AttachDisk(ctx, vm.Disk{Path: path, ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.AttachDisk(ctx, vm.Disk{Path: path, ReadOnly: true}); !errors.Is(err, vm.ErrExists) {
			t.Errorf("attach twice: %v, want ErrExists", err)
		}
		if err := v.DetachDisk(ctx, addr); err != nil {
			t.Fatal(err)
		}
	}
	disksUnderLoad(t, s, v)
	disksExhausted(t, s, v)
}

// disksUnderLoad attaches and detaches at once from many sides, while the agent is kept busy.
func disksUnderLoad(t *testing.T, s *suite, v vm.VM) {
	ctx, cancel := context.WithCancel(s.context(t))
	defer cancel()
	load := make(chan error, 1)
	go func() {
		for ctx.Err() == nil {
			if err := tryHandshake(ctx, v); err != nil && ctx.Err() == nil {
				load <- err
				return
			}
		}
		load <- nil
	}()
	var work errgroup.Group
	for range 4 {
		path := s.Disk(t)
		work.Go(func() error {
			for range 5 {
				addr, err := v.AttachDisk(ctx, vm.Disk{Path: path, Ephemeral: true})
				if err != nil {
					return err
				}
				if err := v.DetachDisk(ctx, addr); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := work.Wait(); err != nil {
		t.Errorf("attach and detach at once: %v", err)
	}
	cancel()
	if err := <-load; err != nil {
		t.Errorf("the agent under load: %v", err)
	}
}

func disksExhausted(t *testing.T, s *suite, v vm.VM) {
	ctx := s.context(t)
	seen := make(map[vm.DiskAddress]bool)
	for range s.DiskSlots {
		addr, err := v.AttachDisk(ctx, vm.Disk{Path: s.Disk(t), ReadOnly: true})
		if err != nil {
			t.Fatalf("disk %d: %v", len(seen), err)
		}
		if seen[addr] {
			t.Fatalf("address %v given twice", addr)
		}
		seen[addr] = true
	}
	if _, err := v.AttachDisk(ctx, vm.Disk{Path: s.Disk(t)}); !errors.Is(err, vm.ErrNoSlots) {
		t.Errorf("one disk too many: %v, want ErrNoSlots", err)
	}
	if err := v.DetachDisk(ctx, vm.DiskAddress{LUN: 0}); err != nil {
		t.Error(err)
	}
	if addr, err := v.AttachDisk(ctx, vm.Disk{Path: s.Disk(t)}); err != nil || addr.LUN != 0 {
		t.Errorf("attach to the slot set free: %v, %v", addr, err)
	}
}

func testNICs(t *testing.T, s *suite) {
	if s.Tap == nil {
		t.Skip("no tap devices on this machine")
	}
	v := s.create(t, "nics")
	defer end(t, s, v)
	ctx := s.context(t)
	nic := func(n int) vm.NIC {
		return vm.NIC{ID: "eth" + string(rune('0'+n)), MAC: net.HardwareAddr{2, 0, 0, 0, 0, byte(n)}, MTU: 1400, Endpoint: s.Tap(t)}
	}
	for name, bad := range map[string]func(*vm.NIC){
		"no id":         func(n *vm.NIC) { n.ID = "" },
		"id with comma": func(n *vm.NIC) { n.ID = "a,b" },
		"no MAC":        func(n *vm.NIC) { n.MAC = nil },
		"multicast MAC": func(n *vm.NIC) { n.MAC = net.HardwareAddr{1, 0, 0, 0, 0, 1} },
		"no endpoint":   func(n *vm.NIC) { n.Endpoint = nil },
	} {
		n := nic(9)
		bad(&n)
		if err := v.AttachNIC(ctx, n); !errors.Is(err, vm.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	if err := v.DetachNIC(ctx, "nobody"); !errors.Is(err, vm.ErrNotFound) {
		t.Errorf("detach nothing: %v, want ErrNotFound", err)
	}
	for n := range s.NICSlots {
		if err := v.AttachNIC(ctx, nic(n)); err != nil {
			t.Fatalf("NIC %d: %v", n, err)
		}
	}
	if err := v.AttachNIC(ctx, nic(0)); !errors.Is(err, vm.ErrExists) {
		t.Errorf("attach twice: %v, want ErrExists", err)
	}
	if err := v.AttachNIC(ctx, nic(8)); !errors.Is(err, vm.ErrNoSlots) {
		t.Errorf("one NIC too many: %v, want ErrNoSlots", err)
	}
	if err := v.DetachNIC(ctx, "eth0"); err != nil {
		t.Fatalf("detach: %v", err)
	}
	if err := v.AttachNIC(ctx, nic(0)); err != nil {
		t.Errorf("attach again: %v", err)
	}
}

func end(t *testing.T, s *suite, v vm.VM) {
	t.Helper()
	if err := v.Terminate(s.context(t)); err != nil {
		t.Errorf("terminate: %v", err)
		return
	}
	release(t, v)
}
