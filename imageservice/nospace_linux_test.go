package imageservice

import (
	"context"
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/guest"
)

// TestFullDisk pulls onto a real file system that is too small: for the blob,
// then for the disk made of it.
func TestFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting a small tmpfs needs root")
	}
	reg := newTestRegistry(t)
	reg.image(t, "app", "fits", linuxAMD64, reg.layer(t, "app", fileTar(t, "f", randomBytes(100, 3)), "gzip"))
	reg.image(t, "app", "blob", linuxAMD64, reg.layer(t, "app", fileTar(t, "f", randomBytes(9<<20, 1)), "gzip"))
	reg.image(t, "app", "disk", linuxAMD64, reg.layer(t, "app", fileTar(t, "f", randomBytes(6<<20, 2)), "gzip"))
	root := t.TempDir()
	if err := unix.Mount("tmpfs", root, "tmpfs", 0, "size=8m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// Detached: containerd's check for fs-verity leaves a file open until a garbage collection.
		if err := unix.Unmount(root, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	ctx, s := context.Background(), newTestStore(t, root, nil)
	before, err := s.FSInfo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range []string{"blob", "disk"} {
		if _, err := s.Pull(ctx, reg.host+"/app:"+tag, guest.Linux, nil); !errors.Is(err, ErrNoSpace) {
			t.Errorf("%s: got %v, want ErrNoSpace", tag, err)
		}
		if left := leftovers(t, s); len(left) > 0 {
			t.Errorf("%s: left behind: %v", tag, left)
		}
		after, err := s.FSInfo(ctx)
		if err != nil || after.UsedBytes > before.UsedBytes+256<<10 {
			t.Errorf("%s: %d bytes used, were %d before, %v", tag, after.UsedBytes, before.UsedBytes, err)
		}
	}
	if _, err := s.Pull(ctx, reg.host+"/app:fits", guest.Linux, nil); err != nil {
		t.Errorf("after a full disk: %v", err)
	}
}
