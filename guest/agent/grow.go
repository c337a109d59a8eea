//go:build linux

package agent

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// resizeFS is EXT4_IOC_RESIZE_FS of the kernel's ext4: _IOW('f', 16, __u64).
const resizeFS = 0x40086610

// growToDisk has a mounted ext4 file system take all of its disk: hosts without mkfs copy
// a small template to disks of any size.
func growToDisk(mountPoint string) error {
	var st unix.Stat_t
	var fs unix.Statfs_t
	if err := unix.Stat(mountPoint, &st); err != nil {
		return fmt.Errorf("scratch disk: %w", err)
	}
	if err := unix.Statfs(mountPoint, &fs); err != nil {
		return fmt.Errorf("scratch disk: %w", err)
	}
	raw, err := os.ReadFile(fmt.Sprintf("/sys/dev/block/%d:%d/size", unix.Major(st.Dev), unix.Minor(st.Dev)))
	if err != nil {
		return fmt.Errorf("size of the scratch disk: %w", err)
	}
	var sectors uint64
	if _, err := fmt.Sscan(string(raw), &sectors); err != nil {
		return fmt.Errorf("size of the scratch disk: %w", err)
	}
	blocks := sectors * 512 / uint64(fs.Bsize)
	// What the file system takes for itself is not in Blocks: only a disk several times as large was not made for it.
	if blocks/2 < fs.Blocks {
		return nil
	}
	dir, err := os.Open(mountPoint)
	if err != nil {
		return fmt.Errorf("scratch disk: %w", err)
	}
	defer dir.Close()
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, dir.Fd(), resizeFS, uintptr(unsafe.Pointer(&blocks))); e != 0 {
		return fmt.Errorf("grow the scratch disk's file system to %d blocks of %d bytes: %w", blocks, fs.Bsize, e)
	}
	return nil
}
