//go:build linux

package session

import "sync"

// message is a buffer from a pool, cut to size.
type message struct {
	data []byte
	pool *sync.Pool
	full *[]byte
}

// Two sizes do: most messages are small, the others are bulk data.
const smallBuffer = 8 << 10

var (
	small = sync.Pool{New: func() any { b := make([]byte, smallBuffer); return &b }}
	large = sync.Pool{New: func() any { b := make([]byte, maxMessage); return &b }}
)

// newMessage gives a buffer of size bytes, at most maxMessage.
func newMessage(size int) message {
	pool := &large
	if size <= smallBuffer {
		pool = &small
	}
	full := pool.Get().(*[]byte)
	return message{data: (*full)[:size], pool: pool, full: full}
}

func (m message) free() {
	if m.pool != nil {
		m.pool.Put(m.full)
	}
}
