package qemu_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/containerd/ttrpc"

	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/podsandbox/vm"
	"github.com/paddock-run/paddock/podsandbox/vm/qemu"
)

func boot(t *testing.T, h *qemu.Host, id string) *qemu.VM {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	v, err := h.Create(ctx, vm.Config{ID: id, GuestOS: guest.Linux})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := v.Terminate(ctx); err != nil && !errors.Is(err, vm.ErrExited) {
			t.Error(err)
		}
		if err := errors.Join(v.Close(), v.Release()); err != nil {
			t.Error(err)
		}
	})
	return v.(*qemu.VM)
}

func TestHalfMadeVMsAreReaped(t *testing.T) {
	cfg := newConfig(t)
	h := newHost(t, cfg)
	if err := os.Mkdir(filepath.Join(cfg.StateDir, "bare"), 0o700); err != nil {
		t.Fatal(err)
	}
	ids, err := h.List(t.Context())
	if err != nil || len(ids) != 1 {
		t.Fatalf("list: %v, %v", ids, err)
	}
	v, err := h.Open(t.Context(), "bare")
	if err != nil {
		t.Fatal(err)
	}
	<-v.Exited()
	if err := errors.Join(v.Close(), v.Release()); err != nil {
		t.Fatal(err)
	}
	if ids, _ := h.List(t.Context()); len(ids) != 0 {
		t.Errorf("still there: %v", ids)
	}
}

// The daemon died between starting QEMU and noting its pid.
func TestProcessIsFoundWithoutItsPID(t *testing.T) {
	cfg := newConfig(t)
	first, err := newHost(t, cfg).Create(t.Context(), vm.Config{ID: "unnoted", GuestOS: guest.Linux})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(first.(*qemu.VM).ForgetProcess(), first.Close()); err != nil {
		t.Error(err)
	}
	again, err := newHost(t, cfg).Open(t.Context(), "unnoted")
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Terminate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if k := again.ExitReason().Kind; k != vm.ExitTerminated {
		t.Errorf("exit kind %d", k)
	}
	if err := errors.Join(again.Close(), again.Release()); err != nil {
		t.Fatal(err)
	}
	waitGone(t, first.(*qemu.VM).PID())
}

func TestLayerIsSharedAndScratchIsNot(t *testing.T) {
	h := newHost(t, newConfig(t))
	a, b := boot(t, h, "a"), boot(t, h, "b")
	layer, scratch := sparseFile(t), sparseFile(t)
	for _, v := range []*qemu.VM{a, b} {
		if _, err := v.AttachDisk(t.Context(), vm.Disk{Path: layer, ReadOnly: true}); err != nil {
			t.Errorf("layer: %v", err)
		}
	}
	if _, err := a.AttachDisk(t.Context(), vm.Disk{Path: scratch}); err != nil {
		t.Fatal(err)
	}
	if addr, err := b.AttachDisk(t.Context(), vm.Disk{Path: scratch}); err == nil {
		t.Errorf("two VMs write %s, the second at %v", scratch, addr)
	}
	other := sparseFile(t)
	if _, err := b.AttachDisk(t.Context(), vm.Disk{Path: other}); err != nil {
		t.Errorf("attach after a refusal: %v", err)
	}
}

func TestGuestFindsNICAndQEMUHasLeastRights(t *testing.T) {
	v := boot(t, newHost(t, newConfig(t)), "rights")
	mac := []byte{2, 0, 0, 0, 0, 7}
	if err := v.AttachNIC(t.Context(), vm.NIC{ID: "eth0", MAC: mac, Endpoint: newTap(t)}); err != nil {
		t.Fatal(err)
	}
	conn, err := v.Dial(t.Context(), api.ControlPort)
	if err != nil {
		t.Fatal(err)
	}
	client := ttrpc.NewClient(conn)
	defer client.Close()
	agent := api.NewAgentClient(client)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := agent.Handshake(ctx, &api.HandshakeRequest{ProtocolMin: api.ProtocolMin, ProtocolMax: api.ProtocolMax}); err != nil {
		t.Fatal(err)
	}
	personal := &api.PersonalizeRequest{Entropy: make([]byte, 64), UnixNanos: time.Now().UnixNano(), MachineId: strings.Repeat("0123456789abcdef", 2)}
	if _, err := agent.Personalize(ctx, personal); err != nil {
		t.Fatal(err)
	}
	_, err = agent.ConfigureSandbox(ctx, &api.ConfigureSandboxRequest{
		Hostname: "pod",
		Network:  &api.Network{Interfaces: []*api.Interface{{Name: "eth0", Mac: mac, Addresses: []string{"10.1.2.3/24"}}}},
	})
	if err != nil {
		t.Errorf("the guest does not find its NIC: %v", err)
	}
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(v.PID()), "status"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"CapEff:\t0000000000000000", "Seccomp:\t2", "NoNewPrivs:\t1"} {
		if !strings.Contains(string(status), want) {
			t.Errorf("no %q in %s", want, status)
		}
	}
	if strings.Contains(string(status), "\nUid:\t0") {
		t.Error("QEMU runs as root")
	}
}

func TestMemoryGrows(t *testing.T) {
	v := boot(t, newHost(t, newConfig(t)), "grow")
	err := v.Resize(t.Context(), vm.Resources{MemoryBytes: 512 << 20})
	if errors.Is(err, vm.ErrUnsupported) {
		t.Skipf("this guest image cannot grow: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Resize(t.Context(), vm.Resources{MemoryBytes: 1 << 40}); !errors.Is(err, vm.ErrUnsupported) {
		t.Errorf("grow beyond the host: %v, want ErrUnsupported", err)
	}
}
