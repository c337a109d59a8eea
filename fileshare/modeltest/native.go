//go:build linux

package modeltest

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Native does operations by system calls on a folder: the model, or a mounted share.
type Native struct{ Root string }

// Do implements Tree.
func (t Native) Do(op Op) string {
	text, err := t.do(op)
	errno, _ := err.(unix.Errno)
	if err != nil && errno == 0 {
		return err.Error()
	}
	return Result(errno, text)
}

// at opens the folder of a path; a link on the way is not followed.
func (t Native) at(path string) (dir int, name string, err error) {
	parts, name := Split(path)
	dir, err = unix.Open(t.Root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	for _, part := range parts {
		if err != nil {
			return -1, "", err
		}
		next, openErr := unix.Openat(dir, part, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		unix.Close(dir)
		dir, err = next, openErr
	}
	return dir, name, err
}

func (t Native) do(op Op) (string, error) {
	dir, name, err := t.at(op.A)
	if err != nil {
		return "", err
	}
	defer unix.Close(dir)
	switch op.Kind {
	case Unlink:
		return "", unix.Unlinkat(dir, name, 0)
	case Rmdir:
		return "", unix.Unlinkat(dir, name, unix.AT_REMOVEDIR)
	case Mkdir:
		return "", unix.Mkdirat(dir, name, 0o755)
	case Symlink:
		return "", unix.Symlinkat(op.B, dir, name)
	case Readlink:
		buf := make([]byte, 100)
		n, err := unix.Readlinkat(dir, name, buf)
		return string(buf[:max(n, 0)]), err
	case Stat:
		return stat(dir, name)
	case Rename, Link:
		return "", t.two(op, dir, name)
	case Chmod, SetXattr, GetXattr, RemoveXattr:
		return byPath(op, dir, name)
	}
	return t.open(op, dir, name)
}

func (t Native) two(op Op, dir int, name string) error {
	other, otherName, err := t.at(op.B)
	if err != nil {
		return err
	}
	defer unix.Close(other)
	if op.Kind == Link {
		return unix.Linkat(dir, name, other, otherName, 0)
	}
	return unix.Renameat2(dir, name, other, otherName, uint(op.Flags))
}

func stat(dir int, name string) (string, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return "", err
	}
	return Attributes(st.Mode, uint32(st.Nlink), st.Size), nil
}

// Attributes are those that are compared. The size of a folder is its file system's own affair.
func Attributes(mode, links uint32, size int64) string {
	if mode&unix.S_IFMT == unix.S_IFDIR {
		size = 0
	}
	return fmt.Sprintf("%o %d links %d bytes", mode, links, size)
}

// byPath does what needs no open file; not of links, whose modes and attributes cannot be had.
func byPath(op Op, dir int, name string) (string, error) {
	fd, err := unix.Openat(dir, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return "", err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFLNK {
		return "a link", nil
	}
	path := fmt.Sprintf("/proc/self/fd/%d", fd)
	switch op.Kind {
	case Chmod:
		return "", unix.Chmod(path, op.Mode())
	case SetXattr:
		return "", unix.Setxattr(path, op.XattrName(), op.XattrValue(), 0)
	case RemoveXattr:
		return "", unix.Removexattr(path, op.XattrName())
	}
	buf := make([]byte, 100)
	n, err := unix.Getxattr(path, op.XattrName(), buf)
	return string(buf[:max(n, 0)]), err
}

func (t Native) open(op Op, dir int, name string) (string, error) {
	flags := map[Kind]int{Create: unix.O_CREAT | unix.O_EXCL | unix.O_RDWR, Read: unix.O_RDONLY, List: unix.O_RDONLY | unix.O_DIRECTORY,
		Append: unix.O_WRONLY | unix.O_APPEND, Write: unix.O_WRONLY, Truncate: unix.O_WRONLY, Punch: unix.O_WRONLY}[op.Kind]
	fd, err := unix.Openat(dir, name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, 0o640)
	if err != nil {
		return "", err
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	switch op.Kind {
	case Write:
		_, err = unix.Pwrite(fd, op.Content(), int64(op.N))
	case Append:
		_, err = unix.Write(fd, op.Content())
	case Truncate:
		err = unix.Ftruncate(fd, int64(op.N))
	case Punch:
		err = unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, int64(op.N), 4096)
	case Read:
		buf := make([]byte, 1<<16)
		n, err := unix.Pread(fd, buf, 0)
		return string(buf[:max(n, 0)]), err
	case List:
		names, err := f.Readdirnames(-1)
		slices.Sort(names)
		return strings.Join(names, " "), err
	}
	return "", err
}
