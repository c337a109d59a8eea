package channel

import (
	"fmt"
	"io"
	"sync"
)

// session is one handshake's worth of streams, at either end.
type session struct {
	side string // "host" or "guest", our own
	// accept takes a stream that the host opens; it returns 0 or a refusal code. Nil at the host. Called with mu held.
	accept func(*Stream) uint8

	writerDone chan struct{} // closed when nothing writes to the wire any more
	done       chan struct{} // closed when the session has ended

	mu      sync.Mutex
	wake    sync.Cond // the writer's; signalled when there is something to send, or the session ends
	out     codec
	streams map[uint32]*Stream
	lastID  uint32    // the highest stream opened
	ready   []*Stream // have something to send, each at most once, in turn
	refused []refusal // OPENs to be refused
	err     error     // why the session ended
}

type refusal struct {
	stream uint32
	code   uint8
}

func newSession(side string, out codec, accept func(*Stream) uint8) *session {
	s := &session{
		side: side, accept: accept, out: out,
		writerDone: make(chan struct{}), done: make(chan struct{}),
		streams: make(map[uint32]*Stream),
	}
	s.wake.L = &s.mu
	return s
}

// fail ends the session: every stream fails with ErrReset and the reason.
func (s *session) fail(reason error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return
	}
	s.err = reason
	for _, st := range s.streams {
		st.endLocked(fmt.Errorf("%w: session ended: %w", ErrReset, reason))
	}
	s.streams, s.ready, s.refused = nil, nil, nil
	s.wake.Broadcast()
	close(s.done)
}

// open makes a stream to a guest's port, not yet answered.
func (s *session) open(port uint32) (*Stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, fmt.Errorf("%w: session ended: %w", ErrReset, s.err)
	}
	if len(s.streams) >= MaxStreams {
		return nil, fmt.Errorf("%w: %d are open", ErrTooManyStreams, MaxStreams)
	}
	if s.lastID == 1<<32-1 {
		return nil, fmt.Errorf("%w: all stream numbers of the session are used, open the channel anew", ErrTooManyStreams)
	}
	s.lastID++
	st := newStream(s, s.lastID, port)
	s.streams[st.id] = st
	st.want |= wantOpen
	s.scheduleLocked(st)
	return st, nil
}

// scheduleLocked gives a stream its turn at the writer.
func (s *session) scheduleLocked(st *Stream) {
	if st.queued || s.err != nil {
		return
	}
	st.queued = true
	s.ready = append(s.ready, st)
	s.wake.Signal()
}

// writeLoop sends what the streams have to send, a chunk of each in turn, until
// the session ends or the wire fails. first goes before all else.
func (s *session) writeLoop(wire io.Writer, first []byte) {
	defer close(s.writerDone)
	buf := append(make([]byte, 0, 2*maxFrame), first...)
	for {
		if len(buf) > 0 {
			if _, err := wire.Write(buf); err != nil {
				s.fail(fmt.Errorf("write to the channel: %w", err))
				return
			}
		}
		var more bool
		if buf, more = s.fill(buf[:0]); !more {
			return
		}
	}
}

// fill waits for something to send and appends about a chunk of it.
func (s *session) fill(buf []byte) (_ []byte, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.err == nil && len(s.ready) == 0 && len(s.refused) == 0 {
		s.wake.Wait()
	}
	if s.err != nil {
		return nil, false
	}
	for _, r := range s.refused {
		buf = s.out.appendFrame(buf, frameRefused, r.stream, []byte{r.code})
	}
	s.refused = s.refused[:0]
	for len(s.ready) > 0 && len(buf) < dataChunk {
		st := s.ready[0]
		s.ready[0] = nil
		s.ready = s.ready[1:]
		st.queued = false
		buf = st.emitLocked(buf)
		if st.sendableLocked() {
			s.scheduleLocked(st)
		}
	}
	return buf, true
}

// removeLocked forgets a stream; frames still under way for it are ignored.
func (s *session) removeLocked(st *Stream) {
	if s.streams[st.id] == st {
		delete(s.streams, st.id)
	}
}

// reason returns why the session ended, nil while it lives.
func (s *session) reason() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
