package podsandbox

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// emptyDirDisks: this host makes disks for emptyDirs with a limit.
const emptyDirDisks = true

// blockDevice is the block device of the host that a path leads to; "" if it leads to anything else.
func blockDevice(path string) string {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return ""
	}
	var st unix.Stat_t
	if unix.Stat(real, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFBLK {
		return ""
	}
	return real
}

// notMounted refuses a device that the node has mounted: two kernels that write
// to one file system destroy it.
func notMounted(device string) error {
	var st unix.Stat_t
	if err := unix.Stat(device, &st); err != nil {
		return &os.PathError{Op: "stat", Path: device, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFBLK {
		return nil
	}
	mounts, err := mountinfo.GetMounts(func(m *mountinfo.Info) (skip, stop bool) {
		return unix.Mkdev(uint32(m.Major), uint32(m.Minor)) != st.Rdev, false
	})
	if err != nil {
		return fmt.Errorf("read the node's mounts: %w", err)
	}
	if len(mounts) > 0 {
		return fmt.Errorf("%w: the node has %s mounted at %s: unmount it there first", ErrState, device, mounts[0].Mountpoint)
	}
	return nil
}

// setMode sets permission bits, setgid and sticky among them.
func setMode(path string, mode uint32) error { return unix.Chmod(path, mode) }
