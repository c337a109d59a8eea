package cri

import (
	"context"
	"encoding/binary"
)

// The header of a SPDY/3.1 frame: a control bit, version and type, or a stream's number; then flags and length.
const (
	spdyHeaderSize  = 8
	spdyControl     = 0x8000
	spdyTypeGoAway  = 7
	spdyLengthBits  = 24
	spdyVersionMask = 0x7fff
	spdyVersion     = 3
)

// goAwayWatch follows the frames that a SPDY client sends and cancels at its
// GOAWAY: the client has closed the connection, though TCP's end may come
// minutes later, when both sides have ended their streams.
type goAwayWatch struct {
	cancel context.CancelFunc
	header [spdyHeaderSize]byte
	have   int    // bytes of header
	skip   uint32 // bytes of the frame's rest
}

// observe takes the next bytes of the connection.
func (w *goAwayWatch) observe(p []byte) {
	for len(p) > 0 {
		if w.skip > 0 {
			n := min(uint32(len(p)), w.skip)
			w.skip -= n
			p = p[n:]
			continue
		}
		n := copy(w.header[w.have:], p)
		w.have += n
		p = p[n:]
		if w.have < spdyHeaderSize {
			return
		}
		w.have = 0
		w.skip = binary.BigEndian.Uint32(w.header[4:]) & (1<<spdyLengthBits - 1)
		if w.isGoAway() {
			w.cancel()
		}
	}
}

func (w *goAwayWatch) isGoAway() bool {
	first, kind := binary.BigEndian.Uint16(w.header[0:]), binary.BigEndian.Uint16(w.header[2:])
	return first&spdyControl != 0 && first&spdyVersionMask == spdyVersion && kind == spdyTypeGoAway
}
