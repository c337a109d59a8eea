package imageservice

import (
	"io/fs"

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
