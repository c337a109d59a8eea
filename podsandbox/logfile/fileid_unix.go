//go:build unix

package logfile

import (
	"os"
	"syscall"
)

// identify returns the identity of an open file.
func identify(f *os.File) (fileID, error) {
	info, err := f.Stat()
	if err != nil {
		return fileID{}, err
	}
	return infoID(info), nil
}

func infoID(info os.FileInfo) fileID {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fileID{}
	}
	return fileID{Device: uint64(st.Dev), Inode: st.Ino}
}

// findByID returns the path in dir of the file with that identity, or "".
func findByID(dir string, id fileID) (string, error) {
	return searchDir(dir, func(_ string, info os.FileInfo) bool { return infoID(info) == id })
}
