//go:build linux

package fusepump

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// device is an open /dev/fuse, read by plain system calls: Go's network poller
// may itself wait for a file of the mount.
type device struct {
	fd   int
	quit int // eventfd: readable once wake was called
}

func openDevice() (*device, error) {
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/fuse (is the fuse module loaded?): %w", err)
	}
	quit, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("make an eventfd: %w", err)
	}
	return &device{fd: fd, quit: quit}, nil
}

// read takes the next whole request; an error says that there will be none.
func (d *device) read(buf []byte) (int, error) {
	fds := []unix.PollFd{{Fd: int32(d.fd), Events: unix.POLLIN}, {Fd: int32(d.quit), Events: unix.POLLIN}}
	for {
		if _, err := unix.Poll(fds, -1); err == unix.EINTR {
			continue
		} else if err != nil {
			return 0, err
		}
		if fds[1].Revents != 0 {
			return 0, errStopped
		}
		n, err := unix.Read(d.fd, buf)
		// ENOENT: the request was interrupted before we had it.
		if err == unix.EINTR || err == unix.EAGAIN || err == unix.ENOENT {
			continue
		}
		return n, err
	}
}

// write gives the kernel one whole answer or notice.
func (d *device) write(msg []byte) error {
	_, err := unix.Write(d.fd, msg)
	return err
}

// wake ends read, now and later.
func (d *device) wake() {
	unix.Write(d.quit, []byte{1, 0, 0, 0, 0, 0, 0, 0})
}

// close aborts the mount if it is still there: the kernel fails what is pending
// and every later request, also of files that are still open. No read or write may be running.
func (d *device) close() {
	unix.Close(d.fd)
	unix.Close(d.quit)
}
