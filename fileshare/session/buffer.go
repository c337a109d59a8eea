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

// maxLarge bounds the large buffers of the process, all shares together: 256 MiB.
const maxLarge = 256

var largeSlots = make(chan struct{}, maxLarge)

// newMessage gives a buffer of size bytes, at most maxMessage.
// It waits while too many large ones are in use.
func newMessage(size int) message {
	pool := &small
	if size > smallBuffer {
		pool = &large
		largeSlots <- struct{}{}
	}
	full := pool.Get().(*[]byte)
	return message{data: (*full)[:size], pool: pool, full: full}
}

func (m message) free() {
	m.pool.Put(m.full)
	if m.pool == &large {
		<-largeSlots
	}
}
