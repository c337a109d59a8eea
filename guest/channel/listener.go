package channel

import (
	"net"
	"sync"
	"syscall"
)

// backlog is how many connections wait for Accept; further ones are refused.
const backlog = 256

var errPortInUse error = &classError{"port is in use", syscall.EADDRINUSE}

// muxListener is a port of a GuestMux.
type muxListener struct {
	m       *GuestMux
	port    uint32
	backlog chan *Stream
	closed  chan struct{}
	once    sync.Once
}

func newMuxListener(m *GuestMux, port uint32) *muxListener {
	return &muxListener{m: m, port: port, backlog: make(chan *Stream, backlog), closed: make(chan struct{})}
}

// Accept returns the next connection that still lives.
func (l *muxListener) Accept() (net.Conn, error) {
	for {
		select {
		case <-l.closed:
			return nil, l.closedError()
		default:
		}
		select {
		case st := <-l.backlog:
			if st.failure() != nil {
				st.Close()
				continue
			}
			return st, nil
		case <-l.closed:
			return nil, l.closedError()
		}
	}
}

func (l *muxListener) closedError() error {
	return &net.OpError{Op: "accept", Net: "mux", Source: l.Addr(), Err: net.ErrClosed}
}

// Close frees the port and resets the connections not accepted yet.
func (l *muxListener) Close() error {
	l.once.Do(func() {
		l.m.mu.Lock()
		delete(l.m.listeners, l.port) // nothing is added to the backlog any more
		l.m.mu.Unlock()
		close(l.closed)
		for {
			select {
			case st := <-l.backlog:
				st.Reset()
			default:
				return
			}
		}
	})
	return nil
}

// Addr is the guest's port.
func (l *muxListener) Addr() net.Addr { return Addr{Side: "guest", Port: l.port} }
