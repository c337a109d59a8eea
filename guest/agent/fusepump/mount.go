//go:build linux

package fusepump

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// mountFUSE opens /dev/fuse and mounts it at target. The file is non-blocking:
// a read ends when it is closed.
func mountFUSE(target string, readOnly, rootIsFile bool, maxRead uint32) (*os.File, error) {
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/fuse (is the fuse module loaded?): %w", err)
	}
	rootMode := uint32(unix.S_IFDIR)
	if rootIsFile {
		rootMode = unix.S_IFREG
	}
	flags := uintptr(0)
	if readOnly {
		flags |= unix.MS_RDONLY
	}
	opts := fmt.Sprintf("fd=%d,rootmode=%o,user_id=0,group_id=0,allow_other,default_permissions,max_read=%d", fd, rootMode, maxRead)
	if err := unix.Mount("paddock", target, "fuse.paddock", flags, opts); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("mount fuse: %w", err)
	}
	return os.NewFile(uintptr(fd), "/dev/fuse"), nil
}
