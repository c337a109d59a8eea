//go:build linux

// Package nowait reads and writes devices that say when they are ready, by
// system calls that Go's scheduler is not told of. Those never wait, and telling
// it has a price: it wakes its monitor thread, which then looks after the call
// each 20 µs. In a guest with one emulated processor that costs more than the
// call, for each message.
package nowait

import (
	"errors"
	"io"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// File is an open device. Reads and writes wait in Go's network poller.
type File struct {
	file *os.File
	raw  syscall.RawConn
}

// Open opens a device for reading and writing.
func Open(path string) (*File, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return New(fd, path)
}

// New takes over a descriptor that was opened with O_NONBLOCK.
func New(fd int, name string) (*File, error) {
	file := os.NewFile(uintptr(fd), name)
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &File{file, raw}, nil
}

// Read reads what is there, or waits for something. Nothing is io.EOF.
func (f *File) Read(b []byte) (n int, err error) {
	if len(b) == 0 {
		return 0, nil
	}
	waitErr := f.raw.Read(func(fd uintptr) bool {
		n, err = call(unix.SYS_READ, fd, b)
		return err != unix.EAGAIN
	})
	switch {
	case waitErr != nil:
		return 0, waitErr
	case err == nil && n == 0:
		err = io.EOF
	}
	return n, err
}

// Write writes all of b.
func (f *File) Write(b []byte) (written int, err error) {
	for written < len(b) {
		var n int
		waitErr := f.raw.Write(func(fd uintptr) bool {
			n, err = call(unix.SYS_WRITE, fd, b[written:])
			return err != unix.EAGAIN
		})
		if waitErr != nil {
			return written, waitErr
		}
		if err != nil {
			return written, err
		}
		written += n
	}
	return written, nil
}

// TryWrite writes b in one call, which does not wait.
func (f *File) TryWrite(b []byte) (n int, err error) {
	waitErr := f.raw.Control(func(fd uintptr) { n, err = call(unix.SYS_WRITE, fd, b) })
	if waitErr != nil {
		return 0, waitErr
	}
	return n, err
}

// File is for deadlines.
func (f *File) File() *os.File { return f.file }

// Close closes the device; a Read or Write under way fails.
func (f *File) Close() error { return f.file.Close() }

// call is a read or write, made again when a signal ended it.
func call(number, fd uintptr, b []byte) (int, error) {
	for {
		n, _, errno := unix.RawSyscall(number, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}
