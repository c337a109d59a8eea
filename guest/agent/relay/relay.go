// Package relay copies between two connections.
package relay

import (
	"io"
	"net"

	"github.com/paddock-run/paddock/guest/channel"
)

// bufferSize is of each direction.
const bufferSize = 32 << 10

// Both copies both ways until both directions have ended; the end of one is
// handed on. A failure of either calls abort, which has to end the other, and is returned.
func Both(a, b net.Conn, abort func()) error {
	done := make(chan error, 2)
	go func() { done <- one(a, b) }()
	go func() { done <- one(b, a) }()
	var first error
	for range 2 {
		if err := <-done; err != nil && first == nil {
			first = err
			abort()
		}
	}
	return first
}

func one(to, from net.Conn) error {
	if _, err := io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, make([]byte, bufferSize)); err != nil {
		return err
	}
	if half, ok := to.(channel.CloseWriter); ok {
		return half.CloseWrite()
	}
	return nil
}
