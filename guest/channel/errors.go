package channel

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

// Errors of multiplexed channels, tested for with errors.Is.
var (
	// ErrReset: the peer aborted the connection, or its session ended. It is a syscall.ECONNRESET too.
	ErrReset error = &classError{"connection reset by peer", syscall.ECONNRESET}
	// ErrPeerClosed: the peer has closed the connection and will not read. It is a syscall.EPIPE too.
	ErrPeerClosed error = &classError{"peer has closed the connection", syscall.EPIPE}
	// ErrRefused: nothing listens on the port, or its listener is full. It is a syscall.ECONNREFUSED too.
	ErrRefused error = &classError{"connection refused by the guest", syscall.ECONNREFUSED}
	// ErrTooManyStreams: MaxStreams connections are open.
	ErrTooManyStreams = errors.New("too many connections on the channel")
	// ErrVersion: host and guest speak different versions of the multiplexer.
	ErrVersion = errors.New("channel protocol versions differ")
	// ErrProtocol: the peer sent what the protocol does not allow; the session ended.
	ErrProtocol = errors.New("channel protocol violated by the peer")
)

// classError is an error that the kernel's sockets have a number for.
type classError struct {
	text  string
	errno syscall.Errno
}

func (e *classError) Error() string { return e.text }

// Is makes callers who know sockets feel at home.
func (e *classError) Is(target error) bool { return target == e.errno }

// protocolErrorf is ErrProtocol with what was wrong.
func protocolErrorf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrProtocol, fmt.Sprintf(format, args...))
}

// Addr is the address of a multiplexed connection's end.
type Addr struct {
	// Side is "host" or "guest".
	Side string
	// Port is the guest's port.
	Port uint32
}

// Network is "mux".
func (Addr) Network() string { return "mux" }

// String is e.g. "guest:1024".
func (a Addr) String() string { return fmt.Sprintf("%s:%d", a.Side, a.Port) }

var _ net.Addr = Addr{}
