package fileshare

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// openRoot opens what a share shows. Unless the share follows the host's
// mounts, that is a private copy of the mounts at and below the path, attached
// nowhere: the kernel keeps later mounts and unmounts out of it, and the copy
// goes with its last descriptor.
func openRoot(share Share) (fd int, err error) {
	if share.FollowMounts {
		fd, err = unix.Open(share.HostPath, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			return -1, fmt.Errorf("open host path: %w", err)
		}
		return fd, nil
	}
	fd, err = unix.OpenTree(unix.AT_FDCWD, share.HostPath, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return -1, fmt.Errorf("copy the mounts at the host path: %w", err)
	}
	set := func(flags uint, attr unix.MountAttr) error {
		return unix.MountSetattr(fd, "", flags|unix.AT_EMPTY_PATH, &attr)
	}
	if err := set(unix.AT_RECURSIVE, unix.MountAttr{Propagation: unix.MS_PRIVATE}); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("make the copied mounts private: %w", err)
	}
	if share.TopReadOnly {
		if err := set(0, unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}); err != nil {
			unix.Close(fd)
			return -1, fmt.Errorf("make the topmost mount read-only: %w", err)
		}
	}
	return fd, nil
}
