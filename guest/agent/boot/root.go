//go:build linux

package boot

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// enterMovableRoot puts a bind mount of the initramfs over the initramfs. The
// kernel's own rootfs has no parent mount, so pivot_root, which the OCI
// runtime uses for every container, refuses to work on it; a bind mount has one.
// Nothing is copied.
func enterMovableRoot() error {
	const stage = "/.root"
	if err := os.MkdirAll(stage, 0o700); err != nil {
		return err
	}
	if err := unix.Mount("/", stage, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind / to %s: %w", stage, err)
	}
	if err := unix.Chdir(stage); err != nil {
		return fmt.Errorf("enter %s: %w", stage, err)
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move %s over /: %w", stage, err)
	}
	if err := unix.Chroot("."); err != nil {
		return fmt.Errorf("chroot: %w", err)
	}
	return unix.Chdir("/")
}

// sealPrograms makes /usr read-only: it guards the programs there from a container
// that gets hold of one through /proc/self/exe.
func sealPrograms() error {
	if err := unix.Mount("/usr", "/usr", "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind /usr: %w", err)
	}
	if err := unix.Mount("", "/usr", "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|unix.MS_NODEV, ""); err != nil {
		return fmt.Errorf("make /usr read-only: %w", err)
	}
	return nil
}
