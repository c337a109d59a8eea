package channel

// ring is a byte queue that grows by doubling up to Window and gives its memory back when drained.
type ring struct {
	buf   []byte
	start int
	len   int
}

const ringMin = 4 << 10

// write appends p. The caller has checked that len(p) fits Window.
func (r *ring) write(p []byte) {
	if need := r.len + len(p); need > len(r.buf) {
		r.grow(need)
	}
	at := (r.start + r.len) % len(r.buf)
	n := copy(r.buf[at:], p)
	copy(r.buf, p[n:])
	r.len += len(p)
}

func (r *ring) grow(need int) {
	size := max(ringMin, len(r.buf))
	for size < need {
		size *= 2
	}
	buf := make([]byte, size)
	n := r.len
	r.peekInto(buf[:n])
	r.buf, r.start = buf, 0
}

func (r *ring) peekInto(p []byte) {
	n := copy(p, r.buf[r.start:min(len(r.buf), r.start+len(p))])
	copy(p[n:], r.buf)
}

// read moves up to len(p) bytes into p.
func (r *ring) read(p []byte) int {
	n := min(len(p), r.len)
	if n == 0 {
		return 0
	}
	r.peekInto(p[:n])
	r.start = (r.start + n) % len(r.buf)
	r.len -= n
	if r.len == 0 {
		r.start = 0
		if len(r.buf) > 4*dataChunk {
			r.buf = nil
		}
	}
	return n
}

func (r *ring) drop() { *r = ring{} }
