//go:build linux || windows

package fileshare

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/podsandbox/vm"
)

// How soon a server that has ended is started again: the pause doubles from the
// first to the last, and begins anew once a server has lasted.
const (
	restartFirst = 20 * time.Millisecond
	restartLast  = 30 * time.Second
	hasLasted    = time.Minute
)

// server implements Server: it keeps a process running for a sandbox.
type server struct {
	procs     *Processes
	id, dir   string
	exited    chan struct{}
	restarted chan struct{}
	quit      context.CancelFunc
	done      chan struct{} // closed when keep has ended

	mu sync.Mutex
	// what follows is guarded by mu
	proc    *process      // nil while none runs
	changed chan struct{} // closed when proc changes
}

// newServer keeps proc, or the process to start if proc is nil, until Close.
func (p *Processes) newServer(sandboxID string, proc *process) *server {
	ctx, quit := context.WithCancel(context.Background())
	s := &server{
		procs: p, id: sandboxID, dir: p.dir(sandboxID), exited: make(chan struct{}), restarted: make(chan struct{}, 1),
		quit: quit, done: make(chan struct{}), proc: proc, changed: make(chan struct{}),
	}
	go s.keep(ctx)
	return s
}

// keep starts the process again when it ends, until its directory is gone or ctx ends.
func (s *server) keep(ctx context.Context) {
	defer close(s.done)
	pause := restartFirst
	for {
		if proc := s.process(); proc != nil {
			began := time.Now()
			select {
			case <-ctx.Done():
				return
			case <-proc.exited:
			}
			s.set(nil)
			proc.close()
			if time.Since(began) > hasLasted {
				pause = restartFirst
			}
		}
		if _, err := os.Stat(s.dir); errors.Is(err, os.ErrNotExist) {
			close(s.exited)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, restartLast)
		proc, err := s.procs.revive(ctx, s.id)
		switch {
		case errors.Is(err, vm.ErrNotFound): // stopped meanwhile
		case err != nil:
			klog.ErrorS(err, "A share server has ended and cannot be started again", "sandbox", s.id)
		default:
			klog.InfoS("A share server had ended and was started again: what was open fails with ESTALE", "sandbox", s.id)
			s.set(proc)
			s.restore(ctx, proc)
			select {
			case s.restarted <- struct{}{}:
			default:
			}
		}
	}
}

func (s *server) process() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proc
}

func (s *server) set(proc *process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proc = proc
	close(s.changed)
	s.changed = make(chan struct{})
}

// running waits for the process, while one may be started again.
func (s *server) running(ctx context.Context) (*process, error) {
	for {
		s.mu.Lock()
		proc, changed := s.proc, s.changed
		s.mu.Unlock()
		if proc != nil {
			return proc, nil
		}
		select {
		case <-changed:
		case <-s.exited:
			return nil, fmt.Errorf("share server has ended: %w", vm.ErrExited)
		case <-s.done:
			return nil, fmt.Errorf("share server is not watched any more: %w", vm.ErrExited)
		case <-ctx.Done():
			return nil, fmt.Errorf("share server has ended, and is not started again: %w", errors.Join(vm.ErrExited, ctx.Err()))
		}
	}
}

// ask sends a request to the running process, with descriptors on Linux.
func (s *server) ask(ctx context.Context, req controlRequest, fds ...int) (controlReply, error) {
	proc, err := s.running(ctx)
	if err != nil {
		return controlReply{}, err
	}
	return s.askProcess(ctx, proc, req, fds...)
}

func (s *server) askProcess(ctx context.Context, proc *process, req controlRequest, fds ...int) (controlReply, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-proc.exited:
			cancel()
		case <-ctx.Done():
		}
	}()
	reply, err := call(ctx, s.dir, req, fds...)
	if err == nil {
		return reply, nil
	}
	select {
	case <-proc.exited:
		return reply, fmt.Errorf("share server has ended: %w", errors.Join(vm.ErrExited, err))
	default:
		return reply, err
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
	info, root, err := s.add(ctx, share, nil)
	if err == nil {
		err = writeShare(s.dir, shareRecord{Share: share, Root: root})
	}
	if err != nil {
		return Info{}, fmt.Errorf("%s: %w", what, err)
	}
	return info, nil
}

// Remove implements Server.
func (s *server) Remove(ctx context.Context, shareID string) error {
	if err := checkID("share id", shareID); err != nil {
		return err
	}
	if err := removeShare(s.dir, shareID); err != nil {
		return fmt.Errorf("remove share %s: %w", shareID, err)
	}
	if _, err := s.ask(ctx, controlRequest{Op: opRemove, ShareID: shareID}); err != nil {
		return fmt.Errorf("remove share %s: %w", shareID, err)
	}
	return nil
}

// Exited implements Server.
func (s *server) Exited() <-chan struct{} { return s.exited }

// Restarted implements Server.
func (s *server) Restarted() <-chan struct{} { return s.restarted }

// Close implements Server.
func (s *server) Close() error {
	s.quit()
	<-s.done
	if proc := s.process(); proc != nil {
		proc.close()
	}
	return nil
}
