//go:build linux

package qemu_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/podsandbox/vm"
	"github.com/paddock-run/paddock/podsandbox/vm/qemu"
)

func TestMain(m *testing.M) {
	qemu.MaybeRunProbe()
	os.Exit(m.Run())
}

// guestDir has the guest image: make guest builds it.
func guestDir(t testing.TB) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("not root: QEMU's isolation cannot be set up")
	}
	dir := os.Getenv("PADDOCK_GUEST_DIR")
	if dir == "" {
		dir = "../../../build/guest"
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"vmlinux", "initrd.img"} {
		if _, err := os.Stat(filepath.Join(dir, f)); err != nil {
			t.Fatalf("no guest image: %v; run make guest, or name its directory in PADDOCK_GUEST_DIR", err)
		}
	}
	return dir
}

func newConfig(t testing.TB) qemu.Config {
	dir := guestDir(t)
	state, err := os.MkdirTemp("", "vm") // t.TempDir is too long for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(state) })
	return qemu.Config{
		Kernel: filepath.Join(dir, "vmlinux"), Initrd: filepath.Join(dir, "initrd.img"),
		StateDir: state, MaxMemory: 1 << 30, NoTemplates: true,
	}
}

func newHost(t testing.TB, cfg qemu.Config) *qemu.Host {
	t.Helper()
	h, err := qemu.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestBootAndShutdown(t *testing.T) {
	cfg := newConfig(t)
	h := newHost(t, cfg)
	t.Logf("%+v", h.Info())
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	begin := time.Now()
	v, err := h.Create(ctx, vm.Config{ID: "boot", GuestOS: guest.Linux})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("agent ready after %v", time.Since(begin))
	begin = time.Now()
	if err := v.Shutdown(ctx); err != nil {
		_ = v.Terminate(context.WithoutCancel(ctx))
		t.Fatal(err)
	}
	t.Logf("shut down after %v: %+v", time.Since(begin), v.ExitReason())
	if v.ExitReason().Kind != vm.ExitShutdown {
		t.Errorf("exit %+v", v.ExitReason())
	}
	v.Close()
	if err := v.Release(); err != nil {
		t.Fatal(err)
	}
}
