package channel

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// readMax bounds how much one Read copies while it holds the session's lock.
const readMax = 64 << 10

// Stream is a connection over the multiplexer. It is a net.Conn with TCP's half-closing:
//
//   - CloseWrite ends our direction; the peer reads io.EOF after what was written.
//   - Close with everything read ends both; the peer reads what was written,
//     then io.EOF, and its writes fail with ErrPeerClosed.
//   - Close with unread data, and Reset, abort it: the peer's reads and writes fail with ErrReset.
//   - The end of the session, e.g. of the host's process, is ErrReset, never io.EOF.
//
// Write returns when the data is on its way or taken into the channel's write buffer.
type Stream struct {
	s        *session
	id, port uint32
	answered chan struct{} // at the host: closed when the guest has answered the open, or the stream ended

	readable, writable sync.Cond // on s.mu

	// All below is guarded by s.mu.
	recv        ring
	recvAllowed int  // how much more the peer may send
	consumed    int  // read by us, not yet credited to the peer
	recvEOF     bool // the peer will send no more
	peerGone    bool // the peer will read no more

	pending    []byte // the rest of the Write under way
	writing    bool   // a Write is under way
	sendCredit int    // how much more we may send
	writeEnd   bool   // CloseWrite was called
	sentEnd    bool   // and sent

	want   want  // control frames to send
	queued bool  // in s.ready
	opened bool  // the guest has answered, or we are the guest
	err    error // why the stream ended
	closed bool  // by us

	readDeadline, writeDeadline deadline
}

// want is a set of control frames that a stream has to send.
type want uint8

const (
	wantOpen want = 1 << iota
	wantOpened
	wantCredit
	wantEnd
	wantClose
	wantReset
)

var _ net.Conn = (*Stream)(nil)

func newStream(s *session, id, port uint32) *Stream {
	st := &Stream{s: s, id: id, port: port, answered: make(chan struct{}), recvAllowed: Window, sendCredit: Window}
	st.readable.L, st.writable.L = &s.mu, &s.mu
	st.readDeadline.cond, st.writeDeadline.cond = &st.readable, &st.writable
	return st
}

// Read reads what has come. See Stream for how it ends.
func (st *Stream) Read(p []byte) (int, error) {
	s := st.s
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case st.closed:
			return 0, st.opError("read", net.ErrClosed)
		case st.readDeadline.expired:
			return 0, st.opError("read", os.ErrDeadlineExceeded)
		case st.err != nil:
			return 0, st.opError("read", st.err)
		case len(p) == 0:
			return 0, nil
		case st.recv.len > 0:
			n := st.recv.read(p[:min(len(p), readMax)])
			st.consumedLocked(n)
			return n, nil
		case st.recvEOF:
			return 0, io.EOF
		}
		st.readable.Wait()
	}
}

// Write writes all of p, or fails having written the first n bytes.
func (st *Stream) Write(p []byte) (n int, err error) {
	s := st.s
	s.mu.Lock()
	defer s.mu.Unlock()
	for st.writing { // one writer at a time, so that writes do not mix
		if err := st.writeErrLocked(); err != nil {
			return 0, st.opError("write", err)
		}
		st.writable.Wait()
	}
	if err := st.writeErrLocked(); err != nil {
		return 0, st.opError("write", err)
	}
	if len(p) == 0 {
		return 0, nil
	}
	st.writing, st.pending = true, p
	defer func() {
		st.writing, st.pending = false, nil
		st.writable.Broadcast()
	}()
	st.scheduleIfSendableLocked()
	for len(st.pending) > 0 {
		if err := st.writeErrLocked(); err != nil {
			return len(p) - len(st.pending), st.opError("write", err)
		}
		st.writable.Wait()
	}
	return len(p), nil
}

// writeErrLocked returns why nothing can be written, nil if it can.
func (st *Stream) writeErrLocked() error {
	switch {
	case st.closed || st.writeEnd:
		return net.ErrClosed
	case st.writeDeadline.expired:
		return os.ErrDeadlineExceeded
	case st.err != nil:
		return st.err
	case st.peerGone:
		return ErrPeerClosed
	}
	return nil
}

// CloseWrite ends our direction of the stream. A Write under way fails.
func (st *Stream) CloseWrite() error {
	s := st.s
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case st.closed:
		return st.opError("close", net.ErrClosed)
	case st.err != nil:
		return st.opError("close", st.err)
	case st.writeEnd:
		return nil
	}
	st.writeEnd = true
	st.want |= wantEnd
	st.writable.Broadcast()
	s.scheduleLocked(st)
	return nil
}

// Close closes the stream, as told at Stream.
func (st *Stream) Close() error {
	return st.close(func() want {
		if st.recv.len > 0 {
			return wantReset
		}
		return wantClose
	})
}

// Reset closes the stream so that the peer's reads fail with ErrReset.
func (st *Stream) Reset() error { return st.close(func() want { return wantReset }) }

func (st *Stream) close(last func() want) error {
	s := st.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.closed {
		return st.opError("close", net.ErrClosed)
	}
	st.closed = true
	st.readDeadline.stopLocked()
	st.writeDeadline.stopLocked()
	if st.err == nil && !(st.recvEOF && st.sentEnd && st.recv.len == 0) {
		st.want = st.want&(wantOpen|wantOpened) | last()
		s.scheduleLocked(st)
	}
	st.recv.drop()
	s.removeLocked(st)
	st.readable.Broadcast()
	st.writable.Broadcast()
	return nil
}

// LocalAddr is our end.
func (st *Stream) LocalAddr() net.Addr { return Addr{Side: st.s.side, Port: st.port} }

// RemoteAddr is the peer's end.
func (st *Stream) RemoteAddr() net.Addr {
	if st.s.accept != nil {
		return Addr{Side: "host", Port: st.port}
	}
	return Addr{Side: "guest", Port: st.port}
}

// SetDeadline sets both deadlines; the zero time removes them.
func (st *Stream) SetDeadline(t time.Time) error {
	return errors.Join(st.SetReadDeadline(t), st.SetWriteDeadline(t))
}

// SetReadDeadline lets reads fail with os.ErrDeadlineExceeded from t on.
func (st *Stream) SetReadDeadline(t time.Time) error { return st.setDeadline(&st.readDeadline, t) }

// SetWriteDeadline lets writes fail with os.ErrDeadlineExceeded from t on.
func (st *Stream) SetWriteDeadline(t time.Time) error { return st.setDeadline(&st.writeDeadline, t) }

func (st *Stream) setDeadline(d *deadline, t time.Time) error {
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	if st.closed {
		return st.opError("set", net.ErrClosed)
	}
	d.setLocked(t)
	return nil
}

// opError says which connection failed.
func (st *Stream) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: "mux", Source: st.LocalAddr(), Addr: st.RemoteAddr(), Err: err}
}

// String is for logs.
func (st *Stream) String() string { return fmt.Sprintf("mux stream %d to port %d", st.id, st.port) }

// PeerPresent tells, after a Read has returned io.EOF, whether the peer only
// closed its half and still reads (CloseWrite), or has closed altogether or
// died. It is how an end of input is told from a sender that went away.
func PeerPresent(conn net.Conn) bool {
	st, ok := conn.(*Stream)
	if !ok {
		return socketPeerPresent(conn)
	}
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	return st.err == nil && !st.closed && !st.peerGone
}
