package channel

import (
	"context"
	"errors"
	"net"
)

// ErrUnsupported: this host has no means to reach such an address.
var ErrUnsupported = errors.New("channel not supported by this host")

// Dialer opens connections to one guest. Its methods may be called concurrently.
type Dialer interface {
	// Dial connects to a port of the guest. If nothing listens there the error
	// is ErrRefused. The connection has CloseWrite (see CloseWriter); net.Conn's
	// deadlines work on it.
	Dial(ctx context.Context, port uint32) (net.Conn, error)
	// Done is closed when no further Dial can succeed: the channel is broken or
	// closed. Socket addresses are never broken, only single connections are.
	Done() <-chan struct{}
	// Close ends every connection of a multiplexed channel; those of socket
	// addresses live on. The guest's listeners live on.
	Close() error
}

// CloseWriter is implemented by every connection of this package.
type CloseWriter interface {
	// CloseWrite ends the stream to the peer, which reads io.EOF after what was
	// written before; the other direction goes on.
	CloseWrite() error
}

// Open connects to a guest's channel. For a mux: address it waits until the
// guest's agent answers or ctx ends, and only one process at a time may have
// the channel open. Socket addresses connect at Dial.
func Open(ctx context.Context, addr Address) (Dialer, error) {
	if _, err := Parse(string(addr)); err != nil {
		return nil, err
	}
	scheme, rest := addr.split()
	switch scheme {
	case schemeMux:
		return openMux(ctx, rest)
	case schemeVsock:
		return openVsock(rest)
	default:
		return openHvsock(rest)
	}
}

// Abort closes a connection so that the peer does not mistake it for a clean
// end: on a multiplexed channel the peer's reads fail with ErrReset. Sockets
// have no such means and are just closed; see PeerPresent.
func Abort(conn net.Conn) error {
	if s, ok := conn.(*Stream); ok {
		return s.Reset()
	}
	return conn.Close()
}
