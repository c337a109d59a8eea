package logfile

import (
	"os"

	"golang.org/x/sys/windows"
)

// identify returns the identity of an open file.
func identify(f *os.File) (fileID, error) {
	var info windows.ByHandleFileInformation
	if err := windows.GetFileInformationByHandle(windows.Handle(f.Fd()), &info); err != nil {
		return fileID{}, err
	}
	return fileID{
		Device: uint64(info.VolumeSerialNumber),
		Inode:  uint64(info.FileIndexHigh)<<32 | uint64(info.FileIndexLow),
	}, nil
}

// findByID returns the path in dir of the file with that identity, or "".
func findByID(dir string, id fileID) (string, error) {
	return searchDir(dir, func(path string, _ os.FileInfo) bool {
		f, err := openFile(path, os.O_RDONLY, 0)
		if err != nil {
			return false
		}
		defer f.Close()
		got, err := identify(f)
		return err == nil && got == id
	})
}
