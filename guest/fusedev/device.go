//go:build linux

package fusedev

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/guest/nowait"
)

// ErrWoken is Read's after Wake.
var ErrWoken = errors.New("the FUSE device is being closed")

// Device is an open /dev/fuse.
type Device interface {
	// Read takes the next whole request; an error says that there will be none.
	Read(buf []byte) (int, error)
	// Answer gives the kernel one whole answer.
	Answer(msg []byte) error
	// Notify gives it one whole notice. It may wait until the kernel has had answers to its requests.
	Notify(msg []byte) error
	// Wake ends Read, now and later.
	Wake()
	// Close aborts the mount if it is still there: the kernel fails what is pending
	// and every later request, also of files that are still open. No Read or Write may be running.
	Close()
}

// Open opens /dev/fuse, to be mounted and then given to New or NewPolled.
func Open() (fd int, err error) {
	fd, err = unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return -1, fmt.Errorf("open /dev/fuse (is the fuse module loaded?): %w", err)
	}
	return fd, nil
}

// NewPolled takes over a mounted descriptor of /dev/fuse, also when it fails, opened with
// O_NONBLOCK, and waits for it in Go's network poller. Until the kernel knows that files of
// the mount are not to be polled, nobody may hand one to the poller (os.Open
// does): that would wait for an answer to a request that the poller has to tell of.
func NewPolled(fd int) (Device, error) {
	f, err := nowait.New(fd, "/dev/fuse")
	if err != nil {
		return nil, err
	}
	return polled{f, fd}, nil
}

type polled struct {
	f  *nowait.File
	fd int
}

func (p polled) Read(buf []byte) (int, error) {
	for {
		n, err := p.f.Read(buf)
		switch {
		case err == unix.ENOENT: // the request was interrupted before we had it
			continue
		case errors.Is(err, os.ErrDeadlineExceeded):
			err = ErrWoken
		}
		return n, err
	}
}

func (p polled) Answer(msg []byte) error {
	_, err := p.f.TryWrite(msg)
	return err
}

// The scheduler has to be told of a call that may wait.
func (p polled) Notify(msg []byte) error {
	_, err := unix.Write(p.fd, msg)
	return err
}

func (p polled) Wake()  { p.f.File().SetReadDeadline(time.Unix(1, 0)) } // fails when closed: woken, too
func (p polled) Close() { p.f.Close() }

// New takes over a descriptor of /dev/fuse, opened with O_NONBLOCK. It is kept
// out of Go's network poller, which may itself wait for a file of the mount.
func New(fd int) (Device, error) {
	quit, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("make an eventfd: %w", err)
	}
	return blocking{fd: fd, quit: quit}, nil
}

type blocking struct {
	fd   int
	quit int // eventfd: readable once Wake was called
}

func (b blocking) Read(buf []byte) (int, error) {
	fds := []unix.PollFd{{Fd: int32(b.fd), Events: unix.POLLIN}, {Fd: int32(b.quit), Events: unix.POLLIN}}
	for {
		if _, err := unix.Poll(fds, -1); err == unix.EINTR {
			continue
		} else if err != nil {
			return 0, err
		}
		if fds[1].Revents != 0 {
			return 0, ErrWoken
		}
		n, err := unix.Read(b.fd, buf)
		// ENOENT: the request was interrupted before we had it.
		if err == unix.EINTR || err == unix.EAGAIN || err == unix.ENOENT {
			continue
		}
		return n, err
	}
}

func (b blocking) Answer(msg []byte) error {
	_, err := unix.Write(b.fd, msg)
	return err
}

func (b blocking) Notify(msg []byte) error { return b.Answer(msg) }

func (b blocking) Wake() { unix.Write(b.quit, []byte{1, 0, 0, 0, 0, 0, 0, 0}) }

func (b blocking) Close() {
	unix.Close(b.fd)
	unix.Close(b.quit)
}
