package fileshare

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/podsandbox/vm"
)

// server implements Server for a process found by its state directory.
type server struct {
	dir    string
	pidfd  int
	exited chan struct{}
	wake   *os.File // closed by Close: ends the watcher
	quit   *os.File
	once   sync.Once
	done   chan struct{} // closed when the watcher has ended
}

func openServer(dir string) (*server, error) {
	pidfd, err := openRecorded(dir)
	if err != nil {
		return nil, err
	}
	quit, wake, err := os.Pipe()
	if err != nil {
		unix.Close(pidfd)
		return nil, err
	}
	s := &server{dir: dir, pidfd: pidfd, exited: make(chan struct{}), wake: wake, quit: quit, done: make(chan struct{})}
	go s.watch(int(quit.Fd()))
	return s, nil
}

// watch closes exited when the process ends.
func (s *server) watch(quit int) {
	defer close(s.done)
	for {
		fds := []unix.PollFd{{Fd: int32(s.pidfd), Events: unix.POLLIN}, {Fd: int32(quit), Events: unix.POLLIN}}
		_, err := unix.Poll(fds, -1)
		if err == unix.EINTR {
			continue
		}
		if fds[0].Revents != 0 {
			close(s.exited)
			return
		}
		if err != nil || fds[1].Revents != 0 {
			return
		}
	}
}

func (s *server) ping(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-s.exited:
			cancel()
		case <-ctx.Done():
		}
	}()
	_, err := call(ctx, s.dir, controlRequest{Op: opPing})
	return s.explain("ping", err)
}

// explain says so when an error is due to the end of the process.
func (s *server) explain(what string, err error) error {
	if err == nil {
		return nil
	}
	select {
	case <-s.exited:
		return fmt.Errorf("%s: share server has ended: %w", what, errors.Join(vm.ErrExited, err))
	default:
		return fmt.Errorf("%s: %w", what, err)
	}
}

// Add implements Server.
func (s *server) Add(ctx context.Context, share Share) (Info, error) {
	if err := checkID("share id", share.ID); err != nil {
		return Info{}, err
	}
	what := fmt.Sprintf("share %s as %s", share.HostPath, share.ID)
	if share.TopReadOnly && share.FollowMounts {
		return Info{}, fmt.Errorf("%s: TopReadOnly and FollowMounts exclude each other", what)
	}
	if share.IDs != nil {
		if err := share.IDs.Check(); err != nil {
			return Info{}, fmt.Errorf("%s: id mapping: %w: %w", what, err, vm.ErrInvalid)
		}
	}
	fd, err := openRoot(share)
	if err != nil {
		return Info{}, fmt.Errorf("%s: %w", what, err)
	}
	defer unix.Close(fd)
	request := controlRequest{Op: opAdd, ShareID: share.ID, ReadOnly: share.ReadOnly, FollowMounts: share.FollowMounts, IDs: share.IDs}
	reply, err := call(ctx, s.dir, request, fd)
	return reply.Info, s.explain(what, err)
}

// Remove implements Server.
func (s *server) Remove(ctx context.Context, shareID string) error {
	if err := checkID("share id", shareID); err != nil {
		return err
	}
	_, err := call(ctx, s.dir, controlRequest{Op: opRemove, ShareID: shareID})
	return s.explain("remove share "+shareID, err)
}

// Exited implements Server.
func (s *server) Exited() <-chan struct{} { return s.exited }

// Close implements Server.
func (s *server) Close() error {
	s.once.Do(func() {
		s.wake.Close()
		<-s.done
		s.quit.Close()
		unix.Close(s.pidfd)
	})
	return nil
}
