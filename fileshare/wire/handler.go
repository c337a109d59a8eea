package wire

import (
	"encoding/binary"
	"errors"
	"sync"
)

// Handler answers requests by a FileSystem. It is a session.Handler.
type Handler struct {
	fs       FileSystem
	maxWrite int

	mu sync.Mutex
	// what follows is guarded by mu
	waiting map[uint64]chan struct{} // requests that can be interrupted, by their number
}

// NewHandler makes one; maxWrite is the largest read or write, in bytes.
func NewHandler(fs FileSystem, maxWrite int) *Handler {
	return &Handler{fs: fs, maxWrite: maxWrite, waiting: map[uint64]chan struct{}{}}
}

// Handle answers a request into out, and returns the answer's size; 0 for a request without one.
func (h *Handler) Handle(in, out []byte) (n int, ok bool) {
	r, ok := newRequest(in)
	if !ok || len(out) < answerHeader {
		return 0, false
	}
	a := &answer{buf: out[:answerHeader:len(out)]}
	if h.silent(&r) {
		return 0, true
	}
	err := h.answer(&r, a)
	if r.bad {
		err = eINVAL
	} else if err == nil && a.full {
		err = eIO
	}
	if err != nil {
		a.buf = a.buf[:answerHeader]
	}
	binary.LittleEndian.PutUint32(a.buf, uint32(len(a.buf)))
	binary.LittleEndian.PutUint32(a.buf[4:], uint32(-number(err)))
	binary.LittleEndian.PutUint64(a.buf[8:], r.unique)
	return len(a.buf), true
}

// number is an error as the client's kernel knows it.
func number(err error) int32 {
	var e Errno
	switch {
	case err == nil:
		return 0
	case errors.As(err, &e) && e > 0 && e < 512:
		return int32(e)
	}
	return int32(eIO)
}

// Relookup answers the request that only the guest's agent makes (sharechange.OpRelookup).
func (h *Handler) Relookup(node uint64) (entry []byte, errno int32) {
	e, err := h.fs.Relookup(node)
	if err != nil {
		return nil, number(err)
	}
	a := &answer{buf: make([]byte, 0, entrySize)}
	a.entry(&e)
	return a.buf, 0
}

// silent does what is not answered.
func (h *Handler) silent(r *request) bool {
	switch r.opcode {
	case opForget:
		if count := r.u64(); !r.bad {
			h.fs.Forget(r.node, count)
		}
	case opBatchForget:
		count := r.u32()
		r.skip(4)
		for range min(count, uint32(len(r.rest)/16)) {
			node := r.u64()
			h.fs.Forget(node, r.u64())
		}
	case opInterrupt:
		h.interrupt(r.u64())
	case opNotifyReply:
	default:
		return false
	}
	return true
}

// interruptible is closed when the client interrupts a request; done must be called.
func (h *Handler) interruptible(unique uint64) (cancel <-chan struct{}, done func()) {
	c := make(chan struct{})
	h.mu.Lock()
	h.waiting[unique] = c
	h.mu.Unlock()
	return c, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.waiting[unique] == c {
			delete(h.waiting, unique)
		}
	}
}

func (h *Handler) interrupt(unique uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c := h.waiting[unique]; c != nil {
		close(c)
		delete(h.waiting, unique)
	}
}

// answer does what is answered, by what it is about.
func (h *Handler) answer(r *request, a *answer) error {
	if r.isProbe() {
		return probe(r, a)
	}
	for _, group := range []func(*request, *answer) error{h.names, h.attributes, h.files, h.directories, h.locks} {
		if err := group(r, a); err != errOther {
			return err
		}
	}
	switch r.opcode {
	case opInit:
		return h.init(r, a)
	case opDestroy:
		return nil
	}
	return eNOSYS // which the client's kernel takes for good: it does without
}

// errOther: the request is not of this group.
var errOther = errors.New("another group's")

// one writes an entry.
func one(a *answer, e Entry, err error) error {
	if err == nil {
		a.entry(&e)
	}
	return err
}
