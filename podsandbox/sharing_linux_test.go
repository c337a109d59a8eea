package podsandbox

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestSharing(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting needs root")
	}
	plain, with := t.TempDir(), t.TempDir()
	before := shareID(sharing(with, &Mount{}))
	below := filepath.Join(with, "below")
	if err := os.Mkdir(below, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("none", below, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(below, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	for _, tc := range []struct {
		name                          string
		path                          string
		mount                         Mount
		readOnly, topReadOnly, follow bool
	}{
		{"writable", with, Mount{}, false, false, false},
		{"read-only, nothing mounted below", plain, Mount{ReadOnly: true}, true, false, false},
		{"read-only, mount below", with, Mount{ReadOnly: true}, false, true, false},
		{"recursively read-only, mount below", with, Mount{ReadOnly: true, RecursiveReadOnly: true}, true, false, false},
		{"follows", with, Mount{Propagation: PropagationHostToContainer}, false, false, true},
		{"both ways, read-only", with, Mount{ReadOnly: true, Propagation: PropagationBidirectional}, true, false, true},
	} {
		if s := sharing(tc.path, &tc.mount); s.HostPath != tc.path || s.ReadOnly != tc.readOnly || s.TopReadOnly != tc.topReadOnly || s.FollowMounts != tc.follow {
			t.Errorf("%s: %+v", tc.name, s)
		}
	}
	if after := shareID(sharing(with, &Mount{})); after == before {
		t.Error("a mount came below the path, and the share is the same")
	}
	if a, b := shareID(sharing(plain, &Mount{})), shareID(sharing(plain, &Mount{})); a != b {
		t.Error("the same path has two shares")
	}
}
