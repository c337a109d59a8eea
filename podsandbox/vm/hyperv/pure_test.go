package hyperv

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paddock-run/paddock/podsandbox/vm"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/computecore"
)

var update = flag.Bool("update", false, "write the golden documents anew")

func TestDocuments(t *testing.T) {
	linux := machine{kernel: `C:\guest\vmlinux`, initrd: `C:\guest\initrd.img`, memory: 256 * mib, processors: 4, build: 20348}
	limited := linux
	limited.memory, limited.limit, limited.build, limited.extraKernelArgs = 257*mib, 1, 17763, "debug"
	limited.endpoint, limited.mac = "b8c9b1c4-0f5c-4b62-8f0a-4c1d2e3f4a5b", "02-70-64-6B-00-01"
	disk := vm.Disk{Path: `C:\layers\a.vhd`, ReadOnly: true}
	mac := net.HardwareAddr{2, 0, 0, 0xab, 0, 1}
	for name, document := range map[string]any{
		"linux":         linuxDocument(linux),
		"linux-limited": linuxDocument(limited),
		"windows":       windowsDocument(windowsMachine{files: `C:\l\UtilityVM\Files`, scratch: `C:\p\sandbox.vhdx`, memory: 1024 * mib, processors: 2}),
		"share-layer":   shareRequest(share(0), vm.Disk{Path: `C:\layers\a`, ReadOnly: true, Content: vm.LayerContent}, false),
		"share-folder":  shareRequest(share(1), vm.Disk{Path: `C:\data`, Content: vm.FileContent}, false),
		"share-file":    shareRequest(share(31), vm.Disk{Path: `C:\data\hosts`, ReadOnly: true, Content: vm.FileContent}, true),
		"unshare":       unshareRequest(share(31)),
		"attach-disk":   attachDiskRequest(vm.DiskAddress{Controller: 1, LUN: 63}, disk),
		"scratch-disk":  attachDiskRequest(vm.DiskAddress{}, vm.Disk{Path: `C:\s.vhdx`, Ephemeral: true}),
		"detach-disk":   detachDiskRequest(vm.DiskAddress{Controller: 3, LUN: 2}),
		"attach-nic":    attachNICRequest("eth0", "b8c9b1c4-0f5c-4b62-8f0a-4c1d2e3f4a5b", mac),
		"detach-nic":    detachNICRequest("eth0", "b8c9b1c4-0f5c-4b62-8f0a-4c1d2e3f4a5b", mac),
		"memory":        memoryRequest(evenMiB(513*mib + 1)),
		"limit":         limitRequest(processorLimit(1, 3)),
		"no-limit":      limitRequest(0),
	} {
		t.Run(name, func(t *testing.T) { golden(t, name, document) })
	}
}

func share(n uint32) vm.DiskAddress { return vm.DiskAddress{Controller: vm.FolderController, LUN: n} }

func TestWhatAWindowsGuestSeesOfAShare(t *testing.T) {
	for _, c := range []struct {
		path   string
		isFile bool
		want   string
	}{{`C:\data`, false, sharePrefix + "s1f"}, {`C:\data\hosts`, true, sharePrefix + `s1f\hosts`}, {`C:\hosts`, true, sharePrefix + `s1f\hosts`}} {
		if got := folderOf(&disk{Address: share(31), Path: c.path, LayerID: "id"}, c.isFile); got.Path != c.want || got.LayerID != "id" {
			t.Errorf("%s: %+v, want %s", c.path, got, c.want)
		}
	}
	if dir, name := splitPath(`C:\hosts`); dir != `C:\` || name != "hosts" {
		t.Errorf("%q %q", dir, name)
	}
}

func golden(t *testing.T, name string, document any) {
	t.Helper()
	got, err := json.MarshalIndent(document, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	file := filepath.Join("testdata", name+".json")
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, bytes.ReplaceAll(want, []byte("\r\n"), []byte("\n"))) {
		t.Errorf("%s is now:\n%s", file, got)
	}
}

// Nothing on the host can listen for a Linux guest, and only two of its services can be dialled.
func TestLinuxGuestsReachNothing(t *testing.T) {
	sockets := linuxDocument(machine{processors: 1}).VirtualMachine.Devices.HvSocket.HvSocketConfig
	if sockets.DefaultBindSecurityDescriptor != nobody || sockets.DefaultConnectSecurityDescriptor != nobody || len(sockets.ServiceTable) != 2 {
		t.Errorf("%+v", sockets)
	}
	for id, s := range sockets.ServiceTable {
		if s.BindSecurityDescriptor != nobody || s.AllowWildcardBinds || s.ConnectSecurityDescriptor != administrators {
			t.Errorf("%s: %+v", id, s)
		}
	}
}

func TestExits(t *testing.T) {
	for _, c := range []struct {
		data    string
		crashed bool
		want    vm.ExitKind
	}{
		{`{"Status":0,"ExitType":"GracefulExit"}`, false, vm.ExitShutdown},
		{`{"Status":0,"ExitType":"GracefulExit","Attribution":[{"WorkerExit":{"ExitCode":0,"Type":"Stopped","Detail":"PowerOff","Initiator":"GuestOS"}}]}`, false, vm.ExitShutdown},
		{`{"Status":0,"ExitType":"ForcedExit"}`, false, vm.ExitTerminated},
		{`{"Status":-1,"ExitType":"UnexpectedExit"}`, false, vm.ExitKilled},
		{`{"Status":-1,"ExitType":"UnexpectedExit"}`, true, vm.ExitCrash},
		{`{"ExitType":"UnexpectedExit","Attribution":[{"WorkerExit":{"Type":"StoppedOnReset","Detail":"Reset","Initiator":"GuestOS"}}]}`, false, vm.ExitCrash},
		{`{"ExitType":"UnexpectedExit","Attribution":[{},{"WorkerExit":{"Type":"Stopped","Detail":"GuestCrash"}}]}`, false, vm.ExitCrash},
		{`{"ExitType":"UnexpectedExit","Attribution":[{"GuestCrash":{}}]}`, false, vm.ExitCrash},
		{`{"ExitType":"UnexpectedExit","Attribution":[{"WorkerExit":{"ExitCode":1,"Type":"UnexpectedStop"}}]}`, false, vm.ExitKilled},
		{"", false, vm.ExitKilled},
		{"\x00nonsense", true, vm.ExitKilled},
		{`{"ExitType":"` + strings.Repeat("x", 5000) + `"}`, false, vm.ExitKilled},
	} {
		kind, detail := classifyExit(c.data, c.crashed)
		if kind != c.want || detail == "" || len(detail) > 2*maxWords || strings.ContainsRune(detail, 0) {
			t.Errorf("%.60q: %d %q, want %d", c.data, kind, detail, c.want)
		}
	}
}

func TestResultsAreTyped(t *testing.T) {
	for result, want := range map[computecore.HRESULT]error{
		0x8037010E: vm.ErrNotFound, 0xC037010F: vm.ErrExists, 0x80370110: vm.ErrExited, 0x80070057: vm.ErrInvalid,
		0x8007000E: vm.ErrUnsupported, 0x490: vm.ErrNotFound,
	} {
		err := typed(&computecore.Error{Call: "X", Result: result})
		if !errors.Is(err, want) || computecore.ResultOf(err) != result {
			t.Errorf("%v: %v, want %v", result, err, want)
		}
	}
	if plain := errors.New("x"); typed(plain) != plain || typed(nil) != nil {
		t.Error("other errors change")
	}
}

func TestProcessorLimits(t *testing.T) {
	for _, c := range []struct {
		processors, count uint32
		want              uint64
	}{{0, 4, 0}, {4, 4, 0}, {9, 4, 0}, {1, 4, 25000}, {1, 3, 33333}, {3, 64, 4687}} {
		if got := processorLimit(c.processors, c.count); got != c.want {
			t.Errorf("%d of %d: %d, want %d", c.processors, c.count, got, c.want)
		}
	}
}

func FuzzClassifyExit(f *testing.F) {
	f.Add(`{"Status":0,"ExitType":"GracefulExit","Attribution":[{"WorkerExit":{"Type":"Stopped"}}]}`, true)
	f.Fuzz(func(t *testing.T, data string, crashed bool) {
		if kind, detail := classifyExit(data, crashed); kind == 0 || detail == "" {
			t.Errorf("%q: %d %q", data, kind, detail)
		}
	})
}
