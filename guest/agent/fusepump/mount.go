//go:build linux

package fusepump

import (
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/guest/fusedev"
)

// mountFUSE opens /dev/fuse and mounts it at target. clone is the same mount, not
// attached, and never read-only: on it changes of the host are replayed.
func mountFUSE(target string, readOnly, rootIsFile bool, maxRead uint32) (dev fusedev.Device, clone int, err error) {
	fd, err := fusedev.Open()
	if err != nil {
		return nil, -1, err
	}
	rootMode := uint32(unix.S_IFDIR)
	if rootIsFile {
		rootMode = unix.S_IFREG
	}
	opts := fmt.Sprintf("fd=%d,rootmode=%o,user_id=0,group_id=0,allow_other,default_permissions,max_read=%d", fd, rootMode, maxRead)
	if err := unix.Mount("paddock", target, "fuse.paddock", 0, opts); err != nil {
		unix.Close(fd)
		return nil, -1, fmt.Errorf("mount fuse: %w", err)
	}
	clone, err = unix.OpenTree(unix.AT_FDCWD, target, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err == nil && readOnly {
		if err = unix.Mount("", target, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
			unix.Close(clone)
		}
	}
	if err != nil {
		unix.Unmount(target, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		unix.Close(fd)
		return nil, -1, fmt.Errorf("mount fuse: %w", err)
	}
	if dev, err = fusedev.NewPolled(fd); err != nil {
		unix.Close(clone)
		unix.Unmount(target, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		return nil, -1, fmt.Errorf("mount fuse: %w", err)
	}
	return dev, clone, nil
}

// pollProbe is a name that the host's server knows in every directory root: a file to poll.
const pollProbe = ".go-fuse-epoll-hack"

// settlePoll makes the kernel ask once whether files of the mount can be
// polled, by a plain system call, so that it never asks again: Go's runtime
// would ask from within its network poller, and could stop the goroutines that
// have to answer.
func settlePoll(target string, rootIsFile bool) error {
	path := target
	if !rootIsFile {
		path = filepath.Join(target, pollProbe)
	}
	defer unforked()()
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	defer unix.Close(fd)
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	if _, err := unix.Poll(fds, 0); err != nil && err != unix.EINTR {
		return fmt.Errorf("poll %s: %w", path, err)
	}
	return nil
}
