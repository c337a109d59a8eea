package podsandbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	guestapi "github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/guest/client"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

// agentConn is one control connection to a VM's agent, the handshake done.
type agentConn = client.Client

func lost(c *agentConn) bool {
	select {
	case <-c.Done():
		return true
	default:
		return false
	}
}

// agentLink keeps a connection to one VM's agent, made anew when it is lost.
type agentLink struct {
	vm      vm.VM
	version string

	dialing opLock // held while connecting

	mu     sync.Mutex
	conn   *agentConn // nil before the first use
	closed bool
}

var errLinkClosed = errors.New("connection to the agent was closed")

func newAgentLink(machine vm.VM, version string) *agentLink {
	return &agentLink{vm: machine, version: version, dialing: newOpLock()}
}

// get returns a live connection.
func (l *agentLink) get(ctx context.Context) (*agentConn, error) {
	if conn, err := l.current(); conn != nil || err != nil {
		return conn, err
	}
	if err := l.dialing.lock(ctx); err != nil {
		return nil, err
	}
	defer l.dialing.unlock()
	if conn, err := l.current(); conn != nil || err != nil {
		return conn, err
	}
	conn, err := client.Connect(ctx, l.vm.Dial, l.version)
	if err != nil {
		return nil, fmt.Errorf("VM %s: %w", l.vm.ID(), err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		conn.Close()
		return nil, errLinkClosed
	}
	l.conn = conn
	return conn, nil
}

func (l *agentLink) current() (*agentConn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, errLinkClosed
	}
	if l.conn != nil && !lost(l.conn) {
		return l.conn, nil
	}
	return nil, nil
}

func (l *agentLink) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.conn != nil {
		l.conn.Close()
	}
}

// Back-off between attempts to reach an agent again.
const (
	retryFirst = 20 * time.Millisecond
	retryMost  = time.Second
)

// retry makes a call that may be repeated until it is answered, the VM ends or ctx does.
func (l *agentLink) retry(ctx context.Context, call func(*agentConn) error) error {
	for wait := retryFirst; ; wait = min(2*wait, retryMost) {
		conn, err := l.get(ctx)
		if err == nil {
			err = call(conn)
			if err == nil || !lost(conn) && !lostCode(err) {
				return err
			}
		}
		if errors.Is(err, vm.ErrExited) || errors.Is(err, errLinkClosed) || errors.Is(err, client.ErrProtocol) || ctx.Err() != nil {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return errors.Join(err, context.Cause(ctx))
		case <-l.vm.Exited():
			return fmt.Errorf("%w: %w", vm.ErrExited, err)
		}
	}
}

func lostCode(err error) bool { return errors.Is(err, ttrpc.ErrClosed) }

// once makes a call that must not be repeated.
func (l *agentLink) once(ctx context.Context, call func(*agentConn) error) error {
	conn, err := l.get(ctx)
	if err != nil {
		return err
	}
	return call(conn)
}

// fromAgent gives an agent's answer its class.
func fromAgent(err error) error {
	if err == nil {
		return nil
	}
	if s, ok := status.FromError(err); ok {
		if isImageVolumeError(s) {
			return fmt.Errorf("%w: %w", ErrImageVolume, fromAgent(status.Error(s.Code(), s.Message())))
		}
		switch s.Code() {
		case codes.NotFound:
			return fmt.Errorf("%w: guest: %s", ErrNotFound, s.Message())
		case codes.AlreadyExists:
			return fmt.Errorf("%w: guest: %s", ErrExists, s.Message())
		case codes.InvalidArgument:
			return fmt.Errorf("%w: guest: %s", ErrInvalid, s.Message())
		case codes.FailedPrecondition:
			return fmt.Errorf("%w: guest: %s", ErrState, s.Message())
		case codes.Unimplemented:
			return fmt.Errorf("%w: guest: %s", ErrUnsupported, s.Message())
		}
	}
	if errors.Is(err, vm.ErrExited) {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	return fmt.Errorf("guest: %w", err)
}

func isImageVolumeError(s *status.Status) bool {
	return slices.ContainsFunc(s.Details(), func(d any) bool { _, ok := d.(*guestapi.ImageVolumeError); return ok })
}
