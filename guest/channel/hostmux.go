package channel

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// hostMux is the host's end of a multiplexed channel: one session.
type hostMux struct {
	wire io.ReadWriteCloser
	s    *session
}

// openMux connects to the pipe's Unix socket and begins a session.
func openMux(ctx context.Context, socket string) (Dialer, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, fmt.Errorf("connect to the guest's channel: %w", err)
	}
	return NewHostMux(ctx, conn)
}

// NewHostMux begins a session over a pipe to a GuestMux, which it owns from now
// on. It waits for the guest until ctx ends. Most callers want Open.
func NewHostMux(ctx context.Context, wire net.Conn) (Dialer, error) {
	stop := context.AfterFunc(ctx, func() { wire.SetDeadline(time.Unix(1, 0)) })
	n := newNonce()
	r := bufio.NewReaderSize(wire, 2*maxFrame)
	if err := greet(wire, r, n); err != nil {
		wire.Close()
		stop()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("no answer from the guest's agent on its channel: %w", err)
	}
	if !stop() {
		wire.Close()
		return nil, fmt.Errorf("no answer from the guest's agent on its channel: %w", ctx.Err())
	}
	m := &hostMux{wire: wire, s: newSession("host", newCodec(n, fromHost), nil)}
	go m.s.writeLoop(wire, nil)
	go m.run(r, newCodec(n, fromGuest))
	return m, nil
}

// greet sends the HELLO and finds its ACK. It reads while it writes: the guest
// may be stuck in a write to us.
func greet(wire net.Conn, r *bufio.Reader, n nonce) error {
	wrote := make(chan error, 1)
	go func() {
		_, err := wire.Write(appendGreeting(make([]byte, maxFrame, maxFrame+greetingLen), helloMagic, muxVersion, n))
		if err != nil {
			wire.Close() // ends the hunt too
		}
		wrote <- err
	}()
	err := huntAck(r, n)
	if err != nil {
		wire.Close() // ends the write too
	}
	if werr := <-wrote; werr != nil && (err == nil || errors.Is(err, net.ErrClosed)) {
		return werr
	}
	return err
}

// run serves the session until it ends, and frees the pipe.
func (m *hostMux) run(r *bufio.Reader, in codec) {
	err := m.s.readLoop(r, in)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("the VM closed the channel")
	}
	m.s.fail(err)
	m.wire.Close()
}

// Dial opens a stream and waits for the guest's answer.
func (m *hostMux) Dial(ctx context.Context, port uint32) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	st, err := m.s.open(port)
	if err != nil {
		return nil, fmt.Errorf("dial guest port %d: %w", port, err)
	}
	select {
	case <-st.answered:
	case <-ctx.Done():
		st.Reset()
		return nil, fmt.Errorf("dial guest port %d: %w", port, ctx.Err())
	}
	if err := st.failure(); err != nil {
		st.Close()
		return nil, fmt.Errorf("dial guest port %d: %w", port, err)
	}
	return st, nil
}

// failure returns why a stream ended, nil if it lives.
func (st *Stream) failure() error {
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	return st.err
}

func (m *hostMux) Done() <-chan struct{} { return m.s.done }

// Close ends the session and frees the pipe for another process.
func (m *hostMux) Close() error {
	m.s.fail(net.ErrClosed)
	err := m.wire.Close()
	<-m.s.writerDone
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
