package channel

import (
	"bufio"
	"encoding/binary"
	"fmt"
)

// readLoop handles the peer's frames until one is wrong or the wire fails, and
// returns why. It never waits for a stream's reader.
func (s *session) readLoop(r *bufio.Reader, in codec) error {
	for {
		f, err := in.read(r)
		if err != nil {
			return err
		}
		if err := s.handle(f); err != nil {
			return err
		}
		if err := in.advance(r, f); err != nil {
			return err
		}
	}
}

// handle applies one frame of the peer.
func (s *session) handle(f frame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	if f.kind == frameOpen {
		return s.handleOpenLocked(f)
	}
	if f.stream == 0 || f.stream > s.lastID {
		return protocolErrorf("%v was never opened", f)
	}
	st := s.streams[f.stream]
	if st == nil {
		return nil // crossed with our end of the stream
	}
	switch f.kind {
	case frameOpened, frameRefused:
		return s.handleAnswerLocked(st, f)
	case frameData:
		return st.receiveLocked(f)
	case frameCredit:
		return st.creditLocked(f)
	}
	if len(f.payload) != 0 {
		return protocolErrorf("%v must be empty", f)
	}
	switch f.kind {
	case frameCloseWrite:
		if st.recvEOF {
			return protocolErrorf("%v after the stream's end", f)
		}
		st.peerDoneLocked(false)
	case frameClose:
		st.peerDoneLocked(true)
	case frameReset:
		st.endLocked(ErrReset)
		s.removeLocked(st)
	}
	return nil
}

// handleOpenLocked serves a frameOpen, which only a guest may get.
func (s *session) handleOpenLocked(f frame) error {
	if s.accept == nil {
		return protocolErrorf("a guest may not open streams")
	}
	if len(f.payload) != 4 {
		return protocolErrorf("%v, want 4", f)
	}
	if f.stream <= s.lastID {
		return protocolErrorf("%v reuses a number", f)
	}
	s.lastID = f.stream
	st := newStream(s, f.stream, binary.BigEndian.Uint32(f.payload))
	st.opened = true
	code := refusedTooMany
	if len(s.streams) < MaxStreams {
		s.streams[st.id] = st
		if code = s.accept(st); code == 0 {
			st.want |= wantOpened
			s.scheduleLocked(st)
			return nil
		}
		s.removeLocked(st)
	}
	if len(s.refused) >= MaxStreams {
		return protocolErrorf("more than %d refused streams outstanding", MaxStreams)
	}
	s.refused = append(s.refused, refusal{st.id, code})
	s.wake.Signal()
	return nil
}

// handleAnswerLocked serves the guest's answer to a frameOpen.
func (s *session) handleAnswerLocked(st *Stream, f frame) error {
	if s.accept != nil || st.opened {
		return protocolErrorf("%v answers nothing", f)
	}
	if f.kind == frameOpened {
		if len(f.payload) != 0 {
			return protocolErrorf("%v must be empty", f)
		}
		st.opened = true
		close(st.answered)
		return nil
	}
	if len(f.payload) != 1 {
		return protocolErrorf("%v, want 1", f)
	}
	err := ErrRefused
	switch f.payload[0] {
	case refusedNoListener:
		err = fmt.Errorf("%w: nothing listens on port %d", ErrRefused, st.port)
	case refusedBacklog:
		err = fmt.Errorf("%w: the listener on port %d is full", ErrRefused, st.port)
	case refusedTooMany:
		err = fmt.Errorf("%w: %w", ErrRefused, ErrTooManyStreams)
	}
	st.endLocked(err)
	s.removeLocked(st)
	return nil
}
