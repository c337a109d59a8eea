//go:build wine

package hyperv_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/guest/client"
	"github.com/paddock-run/paddock/podsandbox/vhdx"
	"github.com/paddock-run/paddock/podsandbox/vm"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/computecore"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/guestsockets"
)

const guestNamespace = "3d5b7f90-1111-4222-8333-944455556666"

// windowsConfig is for a host with an image to boot Windows VMs from.
func windowsConfig(t *testing.T) hyperv.Config {
	t.Helper()
	base := filepath.Join(t.TempDir(), "UtilityVM")
	boot := filepath.Join(base, "Files", "EFI", "Microsoft", "Boot")
	err := errors.Join(os.MkdirAll(boot, 0o700), os.WriteFile(filepath.Join(boot, "bootmgfw.efi"), nil, 0o600),
		vhdx.Create(t.Context(), filepath.Join(base, "SystemTemplate.vhdx"), 64<<20, strings.NewReader("system")))
	if err != nil {
		t.Fatal(err)
	}
	cfg := newConfig(t)
	cfg.UtilityVM = func(context.Context) (string, error) { return base, nil }
	cfg.Endpoint = func(_ context.Context, id string) (hyperv.GuestEndpoint, error) {
		return hyperv.GuestEndpoint{
			NamespaceID: guestNamespace, Namespace: map[string]string{"ID": guestNamespace},
			Endpoint: map[string]string{"ID": id, "HostComputeNamespace": guestNamespace},
		}, nil
	}
	return cfg
}

func createWindows(t *testing.T, h *hyperv.Host, id string) *hyperv.VM {
	t.Helper()
	v, err := h.Create(soon(t), vm.Config{ID: id, GuestOS: guest.Windows})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := v.Terminate(ctx); err != nil && !errors.Is(err, vm.ErrExited) && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	return v.(*hyperv.VM)
}

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func connect(t *testing.T, v vm.VM) *client.Client {
	t.Helper()
	c, err := client.Connect(soon(t), v.Dial, "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// attach attaches folders, files and a disk.
func attach(t *testing.T, v vm.VM, d vm.Disk) *api.DiskAddress {
	t.Helper()
	a, err := v.AttachDisk(soon(t), d)
	if err != nil {
		t.Fatal(err)
	}
	return &api.DiskAddress{Controller: a.Controller, Lun: a.LUN}
}

func scratchDisk(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sandbox.vhdx")
	if err := vhdx.Create(t.Context(), file, 64<<20, strings.NewReader("scratch")); err != nil {
		t.Fatal(err)
	}
	return file
}

func run(t *testing.T, c *client.Client, req *api.CreateContainerRequest) {
	t.Helper()
	if _, err := c.CreateContainer(soon(t), req); err != nil {
		t.Fatal(err)
	}
	if _, err := c.StartContainer(soon(t), &api.StartContainerRequest{Id: req.Id}); err != nil {
		t.Fatal(err)
	}
}

func execution(t *testing.T, c *client.Client, id string, args ...string) string {
	t.Helper()
	_, err := c.Exec(soon(t), &api.ExecRequest{ContainerId: "c", ExecId: id, Windows: &api.WindowsProcess{Args: args}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.OpenOutput(soon(t), &api.StdioStream{ContainerId: "c", ExecId: id, Stdio: api.Stdio_STDIO_STDOUT})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

// A Windows VM, from its making to its end, over a restart of the daemon.
func TestWindowsVM(t *testing.T) {
	needStandIn(t)
	cfg := windowsConfig(t)
	h := newHost(t, cfg)
	v := createWindows(t, h, "windows")
	c := connect(t, v)

	endpoint := standIn(t, "TestEndpoint", endpointMAC)
	mac, _ := net.ParseMAC(endpointMAC)
	if err := v.AttachNIC(soon(t), vm.NIC{ID: "eth0", MAC: mac, Endpoint: vm.HCNEndpoint{ID: endpoint}}); err != nil {
		t.Fatal(err)
	}
	layer, config := t.TempDir(), filepath.Join(t.TempDir(), "config.txt")
	if err := os.WriteFile(config, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	req := &api.CreateContainerRequest{
		Id: "c", Layers: []*api.Layer{{Disk: attach(t, v, vm.Disk{Path: layer, ReadOnly: true, Content: vm.LayerContent})}},
		Mounts: []*api.Mount{
			{Destination: "C:/data", Source: &api.Mount_Disk{Disk: &api.DiskSource{Disk: attach(t, v, vm.Disk{Path: t.TempDir(), Content: vm.FileContent})}}},
			{Destination: "C:/config.txt", ReadOnly: true, Source: &api.Mount_Disk{Disk: &api.DiskSource{Disk: attach(t, v, vm.Disk{Path: config, ReadOnly: true, Content: vm.FileContent})}}},
		},
		Windows: &api.WindowsContainer{
			Scratch: attach(t, v, vm.Disk{Path: scratchDisk(t)}), Process: &api.WindowsProcess{Args: []string{"wait"}, Dir: `C:\`},
		},
	}
	run(t, c, req)
	if got := execution(t, c, "e1", "echo", "hello"); got != "hello\r\n" {
		t.Errorf("output %q", got)
	}

	v.Close() // the daemon dies
	h = newHost(t, cfg)
	taken, err := h.Open(soon(t), "windows")
	if err != nil {
		t.Fatal(err)
	}
	c = connect(t, taken)
	if got := execution(t, c, "e2", "echo", "again"); got != "again\r\n" {
		t.Errorf("output after a restart %q", got)
	}
	if _, err := c.DeleteContainer(soon(t), &api.DeleteContainerRequest{Id: "c"}); err != nil {
		t.Error(err)
	}
	for _, a := range []*api.DiskAddress{req.Layers[0].Disk, req.Mounts[0].GetDisk().Disk, req.Mounts[1].GetDisk().Disk, req.Windows.Scratch} {
		if err := taken.DetachDisk(soon(t), vm.DiskAddress{Controller: a.Controller, LUN: a.Lun}); err != nil {
			t.Errorf("detach %v: %v", a, err)
		}
	}
	if again := attach(t, taken, vm.Disk{Path: layer, ReadOnly: true, Content: vm.LayerContent}); again.Lun != req.Layers[0].Disk.Lun {
		t.Errorf("the layer is shared a second time, as %v", again)
	}
	asked := strings.Split(standIn(t, "TestAsked", taken.(*hyperv.VM).RuntimeID()), "\n")
	for _, want := range []string{"Modify HvSocket Update", "Modify NetworkNamespace Add", "Modify Network Add", "Modify CombinedLayers Remove"} {
		if !slices.Contains(asked, want) {
			t.Errorf("%s was not asked: %q", want, asked)
		}
	}
	if err := taken.DetachNIC(soon(t), "eth0"); err != nil {
		t.Error(err)
	}
	if err := taken.Shutdown(soon(t)); err != nil {
		t.Error(err)
	}
	if err := taken.Release(); err != nil {
		t.Error(err)
	}
	if all := left(t); len(all) > 0 {
		t.Errorf("left: %q", all)
	}
}

// A guest that does not come back takes its VM with it, and the reason is told.
func TestGuestDoesNotCallAgain(t *testing.T) {
	needStandIn(t)
	cfg := windowsConfig(t)
	cfg.RedialTime = 2 * time.Second
	v := createWindows(t, newHost(t, cfg), "mute")
	standIn(t, "TestBreak", v.RuntimeID())
	connect(t, v) // it calls at once
	standIn(t, "TestMute", v.RuntimeID())
	select {
	case <-v.Exited():
	case <-time.After(time.Minute):
		t.Fatal("the VM lives on")
	}
	if e := v.ExitReason(); e.Kind != vm.ExitCrash || !strings.Contains(e.Detail, "has not called again") {
		t.Errorf("it ended with %+v", e)
	}
	if err := v.Release(); err != nil {
		t.Error(err)
	}
}

// Nobody can listen for a Linux guest, nor for a VM that is none; and a VM without a
// guest service is not made.
func TestWhoIsNotListenedFor(t *testing.T) {
	needStandIn(t)
	h := newHost(t, windowsConfig(t))
	linux, err := h.Create(soon(t), vm.Config{ID: "linux", GuestOS: guest.Linux})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{linux.(*hyperv.VM).RuntimeID(), guestNamespace} {
		s, err := guestsockets.Open(id)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Port(api.ControlPort); err == nil {
			t.Errorf("listened for %s", id)
		}
		s.Close()
	}
	if err := errors.Join(linux.Terminate(soon(t)), linux.Release()); err != nil {
		t.Error(err)
	}
	none := windowsConfig(t)
	none.UtilityVM = nil
	if _, err := newHost(t, none).Create(soon(t), vm.Config{ID: "none", GuestOS: guest.Windows}); !errors.Is(err, vm.ErrUnsupported) {
		t.Errorf("without an image: %v", err)
	}
	if all := left(t); len(all) > 0 {
		t.Errorf("left: %q", all)
	}
}

// What the host or the guest refuses of shares and interfaces leaves nothing, and can be asked again.
func TestFailuresOfAWindowsVM(t *testing.T) {
	needStandIn(t)
	cfg := windowsConfig(t)
	v := createWindows(t, newHost(t, cfg), "troubled-windows")
	folder := vm.Disk{Path: t.TempDir(), Content: vm.FileContent}
	mac, _ := net.ParseMAC(endpointMAC)
	nic := vm.NIC{ID: "eth0", MAC: mac, Endpoint: vm.HCNEndpoint{ID: standIn(t, "TestEndpoint", endpointMAC)}}
	failCall(t, "HcsModifyComputeSystem:result", 0, 1, uint32(computecore.AccessDenied))
	if _, err := v.AttachDisk(soon(t), folder); !errors.Is(err, computecore.AccessDenied) {
		t.Errorf("share: %v", err)
	}
	standIn(t, "TestHeal")
	a, err := v.AttachDisk(soon(t), folder)
	if err != nil || a.LUN != 0 {
		t.Errorf("share after a failure: %+v, %v", a, err)
	}
	for _, refused := range []string{"Modify NetworkNamespace Add", "Modify Network Add"} {
		standIn(t, "TestRefuse", v.RuntimeID(), refused)
		if err := v.AttachNIC(soon(t), nic); err == nil || !strings.Contains(err.Error(), "as a test wants") {
			t.Errorf("%s was refused: %v", refused, err)
		}
	}
	failCall(t, "HcsModifyComputeSystem", 0, 1, uint32(computecore.InvalidState))
	if err := v.AttachNIC(soon(t), nic); !errors.Is(err, computecore.InvalidState) {
		t.Errorf("an interface that the host refuses: %v", err)
	}
	standIn(t, "TestHeal")
	if err := v.AttachNIC(soon(t), nic); err != nil {
		t.Errorf("an interface after the failures: %v", err)
	}
	if _, err := v.AttachDisk(soon(t), vm.Disk{Path: filepath.Join(t.TempDir(), "missing"), Content: vm.FileContent}); !errors.Is(err, vm.ErrInvalid) {
		t.Errorf("a folder that is not there: %v", err)
	}
	if err := errors.Join(v.Terminate(soon(t)), v.Release()); err != nil {
		t.Error(err)
	}
	nothingLeft(t, "release", cfg)
}
