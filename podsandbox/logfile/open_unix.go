//go:build unix

package logfile

import "os"

// openFile is os.OpenFile: kubelet may rename an open file.
func openFile(path string, flag int, perm os.FileMode) (*os.File, error) {
	return os.OpenFile(path, flag, perm)
}
