package qemu_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/podsandbox/vm"
	"github.com/paddock-run/paddock/podsandbox/vm/qemu"
	"github.com/paddock-run/paddock/podsandbox/vm/vmtest"
)

func TestConformanceOfBoots(t *testing.T) {
	testConformance(t, func(*qemu.Config) {}, func(*testing.T, *qemu.Host) {})
}

func TestConformanceOfClones(t *testing.T) {
	kept := t.TempDir()
	testConformance(t, func(cfg *qemu.Config) {
		cfg.NoTemplates, cfg.TemplateDir = false, kept
	}, func(t *testing.T, h *qemu.Host) {
		for _, endpoint := range []vm.Endpoint{nil, vm.TapEndpoint{}} {
			if err := h.Warm(t.Context(), vm.Config{GuestOS: guest.Linux, Endpoint: endpoint}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func testConformance(t *testing.T, adapt func(*qemu.Config), warm func(*testing.T, *qemu.Host)) {
	guestDir(t)
	var cfg qemu.Config
	mark := "paddock.test=" + uuid.NewString()
	vmtest.TestHost(t, vmtest.Backend{
		New: func(t *testing.T) vm.Host {
			cfg = newConfig(t)
			cfg.ExtraKernelArgs = "unknown_nmi_panic " + mark
			adapt(&cfg)
			h := newHost(t, cfg)
			warm(t, h)
			return h
		},
		Reopen: func(t *testing.T, _ vm.Host) vm.Host { return newHost(t, cfg) },
		Kill: func(t *testing.T, v vm.VM) {
			if err := unix.Kill(v.(*qemu.VM).PID(), unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
		},
		Crash: func(t *testing.T, v vm.VM) {
			if err := v.(*qemu.VM).Inject(t.Context()); err != nil {
				t.Fatal(err)
			}
			waitGone(t, v.(*qemu.VM).PID())
		},
		Disk:      sparseFile,
		Tap:       newTap,
		NICSlots:  4,
		DiskSlots: 255,
		Left:      func(t *testing.T, _ vm.Host) []string { return left(t, cfg.StateDir, mark) },
	})
}

func sparseFile(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "disk")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(1 << 20); err != nil {
		t.Fatal(err)
	}
	return path
}

// newTap opens a tap device that goes with the test.
func newTap(t *testing.T) vm.Endpoint {
	link := &netlink.Tuntap{
		LinkAttrs: netlink.LinkAttrs{Name: "pt" + uuid.NewString()[:8]},
		Mode:      netlink.TUNTAP_MODE_TAP, NonPersist: true, Queues: 1,
		Flags: netlink.TUNTAP_NO_PI | netlink.TUNTAP_VNET_HDR,
	}
	if err := netlink.LinkAdd(link); err != nil {
		t.Fatalf("make a tap device: %v", err)
	}
	f := link.Fds[0]
	t.Cleanup(func() { f.Close() })
	return vm.TapEndpoint{File: f}
}

// left names QEMU processes with the mark on their guest's command line, and
// files in the state directory.
func left(t *testing.T, dir, mark string) []string {
	var names []string
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if line, err := os.ReadFile(f); err == nil && bytes.Contains(line, []byte(mark)) {
			names = append(names, f)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "kvm-probe-") {
			names = append(names, e.Name())
		}
	}
	return names
}
