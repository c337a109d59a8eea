package vmtest_test

import (
	"testing"
	"time"

	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/podsandbox/vm"
	"github.com/paddock-run/paddock/podsandbox/vm/vmtest"
)

func TestFakeIsAVM(t *testing.T) {
	f := vmtest.NewFake()
	v, err := f.Create(t.Context(), vm.Config{ID: "a", GuestOS: guest.Linux})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-v.Exited():
	case <-time.After(10 * time.Second):
		t.Fatal("still running after Shutdown")
	}
	if k := v.ExitReason().Kind; k != vm.ExitShutdown {
		t.Fatalf("exit kind %d", k)
	}
}
