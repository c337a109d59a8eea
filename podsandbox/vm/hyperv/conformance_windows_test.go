//go:build wine

package hyperv_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/Microsoft/hcsshim/ext4/tar2ext4"

	"github.com/paddock-run/paddock/podsandbox/vm"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv"
	"github.com/paddock-run/paddock/podsandbox/vm/vmtest"
)

// newConfig is for the guest image that PADDOCK_GUEST_DIR names.
func newConfig(t testing.TB) hyperv.Config {
	dir := os.Getenv("PADDOCK_GUEST_DIR")
	return hyperv.Config{
		Kernel: filepath.Join(dir, "vmlinux"), Initrd: filepath.Join(dir, "initrd.img"), StateDir: t.TempDir(),
		ExtraKernelArgs: "unknown_nmi_panic",
		EndpointMAC:     func(context.Context, string) (net.HardwareAddr, error) { return net.ParseMAC(endpointMAC) },
	}
}

const endpointMAC = "02-00-00-00-0e-01"

func newHost(t testing.TB, cfg hyperv.Config) *hyperv.Host {
	t.Helper()
	h, err := hyperv.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// newDisk makes a fixed VHD, as image layers are.
func newDisk(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "disk.vhd")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(1 << 20); err != nil {
		t.Fatal(err)
	}
	if err := tar2ext4.ConvertToVhd(f); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestConformance(t *testing.T) {
	needStandIn(t)
	var cfg hyperv.Config
	vmtest.TestHost(t, vmtest.Backend{
		New: func(t *testing.T) vm.Host {
			cfg = newConfig(t)
			return newHost(t, cfg)
		},
		Reopen: func(t *testing.T, _ vm.Host) vm.Host { return newHost(t, cfg) },
		Kill:   func(t *testing.T, v vm.VM) { standIn(t, "TestKill", v.(*hyperv.VM).RuntimeID()) },
		Crash:  func(t *testing.T, v vm.VM) { standIn(t, "TestCrash", v.(*hyperv.VM).RuntimeID()) },
		Disk:   newDisk,
		Tap: func(t *testing.T) vm.Endpoint {
			return vm.HCNEndpoint{ID: standIn(t, "TestEndpoint", endpointMAC)}
		},
		NICSlots: 8, DiskSlots: 256,
		EndedAway: vm.ExitKilled,
		Left: func(t *testing.T, _ vm.Host) []string {
			all := left(t)
			entries, err := os.ReadDir(cfg.StateDir)
			if err != nil {
				t.Error(err)
			}
			for _, e := range entries {
				all = append(all, e.Name())
			}
			return all
		},
	})
}
