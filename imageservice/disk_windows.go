package imageservice

import (
	"fmt"
	"io/fs"
	"os"

	"github.com/Microsoft/hcsshim/ext4/tar2ext4"
	"golang.org/x/sys/windows"
)

// freeBytes is the space that files under path may still take.
func freeBytes(path string) (int64, error) {
	p, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return 0, err
	}
	var free uint64
	if err := windows.GetDiskFreeSpaceEx(p, &free, nil, nil); err != nil {
		return 0, err
	}
	return int64(free), nil
}

// allocatedBytes is what a file takes on disk, about: NTFS tells the length.
func allocatedBytes(fi fs.FileInfo) uint64 { return uint64(fi.Size()) }

// syncDir is not needed: NTFS journals renames.
func syncDir(string) error { return nil }

// diskSuffix ends the names of disks' files: Hyper-V goes by it.
const diskSuffix = ".vhd"

// sealDisk makes a finished disk what this host's hypervisor attaches: a fixed
// VHD, which is the disk and a footer.
func sealDisk(f *os.File) error {
	if err := tar2ext4.ConvertToVhd(f); err != nil {
		return fmt.Errorf("make %s a VHD: %w", f.Name(), err)
	}
	return nil
}
