package channel

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"k8s.io/klog/v2"
)

// GuestMux is the guest's end of a multiplexed channel. Its listeners outlive
// sessions: hosts may come, be killed and come again.
type GuestMux struct {
	wire io.ReadWriteCloser
	done chan struct{}

	// mu is taken with a session's mu held, never the other way round.
	mu        sync.Mutex
	listeners map[uint32]*muxListener
	closed    bool
}

// NewGuestMux serves the channel over a pipe, in the background, until the pipe
// fails or Close is called. OpenPort gives the pipe of a virtio-serial port.
func NewGuestMux(wire io.ReadWriteCloser) *GuestMux {
	m := &GuestMux{wire: wire, done: make(chan struct{}), listeners: make(map[uint32]*muxListener)}
	go m.serve()
	return m
}

// Listen accepts the host's connections to a port, in this and later sessions.
func (m *GuestMux) Listen(port uint32) (net.Listener, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, fmt.Errorf("listen on channel port %d: %w", port, net.ErrClosed)
	}
	if m.listeners[port] != nil {
		return nil, fmt.Errorf("listen on channel port %d: %w", port, errPortInUse)
	}
	l := newMuxListener(m, port)
	m.listeners[port] = l
	return l, nil
}

// Done is closed when the pipe has failed or Close was called.
func (m *GuestMux) Done() <-chan struct{} { return m.done }

// Close ends the session and the listeners, and closes the pipe.
func (m *GuestMux) Close() error {
	err := m.wire.Close()
	m.closeListeners()
	return err
}

func (m *GuestMux) closeListeners() {
	m.mu.Lock()
	m.closed = true
	all := make([]*muxListener, 0, len(m.listeners))
	for _, l := range m.listeners {
		all = append(all, l)
	}
	m.mu.Unlock()
	for _, l := range all {
		l.Close()
	}
}

// serve runs one session after the other.
func (m *GuestMux) serve() {
	defer close(m.done)
	defer m.closeListeners()
	r := bufio.NewReaderSize(m.wire, 2*maxFrame)
	for {
		version, n, err := hunt(r, helloMagic)
		if err == nil {
			err = m.session(r, version, n)
		}
		switch {
		case errors.Is(err, errHostAway), errors.Is(err, ErrProtocol), errors.Is(err, ErrVersion):
			klog.V(2).InfoS("Channel session ended, waiting for the host", "reason", err.Error())
		default:
			if !errors.Is(err, net.ErrClosed) {
				klog.InfoS("Channel failed", "err", err)
			}
			return
		}
	}
}

// session answers a HELLO and serves until the host goes away or does not keep
// to the protocol. When it returns nothing of the session writes any more.
func (m *GuestMux) session(r *bufio.Reader, version uint32, n nonce) error {
	ack := appendGreeting(nil, ackMagic, muxVersion, n)
	if version != muxVersion {
		if _, err := m.wire.Write(ack); err != nil {
			return err
		}
		return fmt.Errorf("%w: the host speaks %d, this agent %d", ErrVersion, version, muxVersion)
	}
	s := newSession("guest", newCodec(n, fromGuest), m.accept)
	go s.writeLoop(m.wire, ack)
	err := s.readLoop(r, newCodec(n, fromHost))
	s.fail(err)
	// A write under way ends once a host reads again: the next one does, before it expects anything.
	<-s.writerDone
	return err
}

// accept hands a stream to its port's listener.
func (m *GuestMux) accept(st *Stream) uint8 {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.listeners[st.port]
	if l == nil {
		return refusedNoListener
	}
	select {
	case l.backlog <- st:
		return 0
	default:
		return refusedBacklog
	}
}
