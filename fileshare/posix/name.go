//go:build linux

package posix

import (
	"strings"

	"golang.org/x/sys/unix"
)

// checkName accepts exactly one path component. Everything that reaches an
// *at system call beside a directory's descriptor has passed here.
func checkName(name string) error {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
		return unix.EINVAL
	}
	if len(name) > unix.NAME_MAX {
		return unix.ENAMETOOLONG
	}
	return nil
}
