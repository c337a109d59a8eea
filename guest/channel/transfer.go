package channel

// The parts of a Stream that the session's two loops run. All are called with s.mu held.

// creditStep is how much must have been read before the peer is told.
const creditStep = Window / 4

// receiveLocked takes the peer's data.
func (st *Stream) receiveLocked(f frame) error {
	switch n := len(f.payload); {
	case n == 0:
		return protocolErrorf("%v: empty data", f)
	case !st.opened:
		return protocolErrorf("%v before it was answered", f)
	case st.recvEOF:
		return protocolErrorf("%v after the stream's end", f)
	case n > st.recvAllowed:
		return protocolErrorf("%v overruns its window, %d bytes were left", f, st.recvAllowed)
	default:
		st.recvAllowed -= n
	}
	st.recv.write(f.payload)
	st.readable.Broadcast()
	return nil
}

// consumedLocked lets the peer send as much more as was read, once that is worth a frame.
func (st *Stream) consumedLocked(n int) {
	st.consumed += n
	if st.consumed >= creditStep && !st.recvEOF {
		st.want |= wantCredit
		st.s.scheduleLocked(st)
	}
}

// creditLocked takes the peer's leave to send more.
func (st *Stream) creditLocked(f frame) error {
	n, err := f.number()
	if err != nil {
		return err
	}
	if n == 0 || uint64(n)+uint64(st.sendCredit) > Window || !st.opened {
		return protocolErrorf("credit of %d for stream %d, which has %d of %d", n, st.id, st.sendCredit, Window)
	}
	st.sendCredit += int(n)
	st.scheduleIfSendableLocked()
	return nil
}

// peerDoneLocked notes that the peer sends no more, and if gone reads no more.
func (st *Stream) peerDoneLocked(gone bool) {
	st.recvEOF = true
	st.readable.Broadcast()
	if gone {
		st.peerGone = true
		st.want &^= wantCredit | wantEnd
		st.writable.Broadcast()
		st.s.removeLocked(st)
	}
}

// endLocked fails the stream: what was received is dropped, reads and writes return err.
func (st *Stream) endLocked(err error) {
	if st.err != nil {
		return
	}
	st.err = err
	st.want = 0
	st.recv.drop()
	if !st.opened {
		st.opened = true
		close(st.answered)
	}
	st.readable.Broadcast()
	st.writable.Broadcast()
}

// canSendLocked: there is data, and leave to send it.
func (st *Stream) canSendLocked() bool {
	return len(st.pending) > 0 && st.sendCredit > 0 && st.opened && !st.peerGone && !st.closed && !st.writeEnd && st.err == nil
}

// sendableLocked: the writer has something to do for the stream.
func (st *Stream) sendableLocked() bool { return st.want != 0 || st.canSendLocked() }

func (st *Stream) scheduleIfSendableLocked() {
	if st.sendableLocked() {
		st.s.scheduleLocked(st)
	}
}

// emitLocked appends the stream's control frames and one chunk of its data.
func (st *Stream) emitLocked(b []byte) []byte {
	out := &st.s.out
	w := st.want
	st.want = 0
	if w&wantOpen != 0 {
		b = out.appendNumber(b, frameOpen, st.id, st.port)
	}
	if w&wantOpened != 0 {
		b = out.appendFrame(b, frameOpened, st.id, nil)
	}
	if w&wantReset != 0 {
		return out.appendFrame(b, frameReset, st.id, nil)
	}
	if w&wantCredit != 0 {
		b = out.appendNumber(b, frameCredit, st.id, uint32(st.consumed))
		st.recvAllowed += st.consumed
		st.consumed = 0
	}
	if st.canSendLocked() {
		n := min(len(st.pending), st.sendCredit, dataChunk)
		b = out.appendFrame(b, frameData, st.id, st.pending[:n])
		st.pending = st.pending[n:]
		st.sendCredit -= n
		if len(st.pending) == 0 {
			st.writable.Broadcast()
		}
	}
	if w&wantClose != 0 {
		return out.appendFrame(b, frameClose, st.id, nil)
	}
	if w&wantEnd != 0 {
		b = out.appendFrame(b, frameCloseWrite, st.id, nil)
		st.sentEnd = true
	}
	return b
}
