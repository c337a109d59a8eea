package vmtest_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/podsandbox/vm"
	"github.com/paddock-run/paddock/podsandbox/vm/vmtest"
)

func TestFake(t *testing.T) {
	var fake *vmtest.Fake
	vmtest.TestHost(t, vmtest.Backend{
		New: func(*testing.T) vm.Host {
			fake = vmtest.NewFake()
			return fake
		},
		Reopen: func(_ *testing.T, h vm.Host) vm.Host { return h.(*vmtest.Fake).Reopen() },
		Kill:   func(_ *testing.T, v vm.VM) { fake.Kill(v.ID()) },
		Crash:  func(_ *testing.T, v vm.VM) { fake.Crash(v.ID()) },
		Disk: func(t *testing.T) string {
			path := filepath.Join(t.TempDir(), "disk")
			if err := os.WriteFile(path, make([]byte, 4096), 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		},
		Tap:       func(*testing.T) vm.Endpoint { return vm.TapEndpoint{} },
		NICSlots:  vmtest.FakeNICs,
		DiskSlots: vmtest.FakeDisks,
		Left:      func(*testing.T, vm.Host) []string { return nil },
	})
}

func TestFakeFailsCreateWhenTold(t *testing.T) {
	f := vmtest.NewFake()
	broken := errors.New("broken")
	f.FailCreate(broken)
	if _, err := f.Create(t.Context(), vm.Config{ID: "a", GuestOS: guest.Linux}); !errors.Is(err, broken) {
		t.Fatalf("got %v", err)
	}
	if ids, _ := f.List(t.Context()); len(ids) != 0 {
		t.Fatalf("left %v", ids)
	}
}
