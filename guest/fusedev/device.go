//go:build linux

package fusedev

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// ErrWoken is Read's after Wake.
var ErrWoken = errors.New("the FUSE device is being closed")

// Device is an open /dev/fuse.
type Device struct {
	fd   int
	quit int // eventfd: readable once Wake was called
}

// Open opens /dev/fuse.
func Open() (*Device, error) {
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/fuse (is the fuse module loaded?): %w", err)
	}
	return New(fd)
}

// New takes over a descriptor of /dev/fuse, opened with O_NONBLOCK.
func New(fd int) (*Device, error) {
	quit, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("make an eventfd: %w", err)
	}
	return &Device{fd: fd, quit: quit}, nil
}

// FD is the descriptor, for mounting.
func (d *Device) FD() int { return d.fd }

// Read takes the next whole request; an error says that there will be none.
func (d *Device) Read(buf []byte) (int, error) {
	fds := []unix.PollFd{{Fd: int32(d.fd), Events: unix.POLLIN}, {Fd: int32(d.quit), Events: unix.POLLIN}}
	for {
		if _, err := unix.Poll(fds, -1); err == unix.EINTR {
			continue
		} else if err != nil {
			return 0, err
		}
		if fds[1].Revents != 0 {
			return 0, ErrWoken
		}
		n, err := unix.Read(d.fd, buf)
		// ENOENT: the request was interrupted before we had it.
		if err == unix.EINTR || err == unix.EAGAIN || err == unix.ENOENT {
			continue
		}
		return n, err
	}
}

// Write gives the kernel one whole answer or notice.
func (d *Device) Write(msg []byte) error {
	_, err := unix.Write(d.fd, msg)
	return err
}

// Wake ends Read, now and later.
func (d *Device) Wake() {
	unix.Write(d.quit, []byte{1, 0, 0, 0, 0, 0, 0, 0})
}

// Close aborts the mount if it is still there: the kernel fails what is pending
// and every later request, also of files that are still open. No Read or Write may be running.
func (d *Device) Close() {
	unix.Close(d.fd)
	unix.Close(d.quit)
}
