// Package session carries the FUSE messages of one share between a stream from
// the guest and a file system, bounding what the guest may send: the size of a
// message, of its answer, and the number of requests at work.
package session

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/guest/sharechange"
)

// Limits of a share's messages.
const (
	// MaxWrite is the largest read or write, in bytes.
	MaxWrite = 1 << 20
	// maxMessage bounds a request: a write with its headers.
	maxMessage = MaxWrite + 4096
	// maxXattr bounds the answer to getxattr and listxattr, as the kernel does.
	maxXattr = 64 << 10
	// maxRequests bounds the requests at work, lock waits excepted.
	maxRequests = 128
	// maxLockWaits bounds the requests that wait for a lock; beyond it ENOLCK.
	maxLockWaits = 1024
)

// Handler is the file system behind a Server, which speaks FUSE. Its methods may be
// called concurrently; what they are given is the client's, and may be anything
// that inspect lets through. Package sharetest says what every one must do.
type Handler interface {
	// Handle answers a request: it writes the whole answer to out, which is
	// as long as the longest one to this request, and returns its size; 0 where a
	// request takes none. false: the request could not be read.
	Handle(in, out []byte) (n int, ok bool)
	// Relookup counts a reference of the client to an inode that it has, and tells
	// what a lookup of one of its names would: the bytes of a struct fuse_entry_out, or
	// else an error's number.
	Relookup(node uint64) (entry []byte, errno int32)
}

// Server answers the requests of one share. It outlives connections: inodes
// and handles stay when the stream breaks and a new one comes.
type Server struct {
	fs    Handler
	slots chan struct{}
	waits chan struct{} // slots of lock waits
	wg    sync.WaitGroup
	out   atomic.Pointer[replyWriter] // of the newest stream
}

// NewServer makes a server of fs.
func NewServer(fs Handler) *Server {
	return &Server{fs: fs, slots: make(chan struct{}, maxRequests), waits: make(chan struct{}, maxLockWaits)}
}

// Serve answers requests until the stream ends or breaks its rules, and returns
// why. Requests then still at work go on; their answers are lost.
func (s *Server) Serve(conn io.ReadWriter) error {
	in := bufio.NewReaderSize(conn, 64<<10)
	out := &replyWriter{w: conn}
	s.out.Store(out)
	for {
		msg, err := readMessage(in)
		if err != nil {
			return err
		}
		req := header(msg.data)
		if verdict := inspect(req, msg.data); verdict != 0 {
			out.fail(req, verdict)
			msg.free()
			continue
		}
		switch req.opcode {
		case sharechange.OpRelookup:
			s.relookup(req, out)
			msg.free()
		case opForget, opBatchForget, opInterrupt, opInit:
			s.answer(req, msg, out)
		case opSetlkw:
			select {
			case s.waits <- struct{}{}:
				s.work(req, msg, out, s.waits)
			default: // waiting here would keep interrupts and unlocks out
				out.fail(req, eNOLCK)
				msg.free()
			}
		default:
			s.slots <- struct{}{}
			s.work(req, msg, out, s.slots)
		}
	}
}

// Notify tells the client of a change. It waits while the client does not read,
// and does nothing while there is no stream.
func (s *Server) Notify(c sharechange.Change) {
	if out := s.out.Load(); out != nil {
		out.write(sharechange.Encode(c))
	}
}

// relookup answers a request that no kernel makes: see sharechange.
func (s *Server) relookup(req requestHeader, out *replyWriter) {
	entry, errno := s.fs.Relookup(req.node)
	if errno != 0 {
		out.fail(req, errno)
		return
	}
	reply := make([]byte, 16, 16+len(entry))
	binary.NativeEndian.PutUint32(reply, uint32(cap(reply)))
	binary.NativeEndian.PutUint64(reply[8:], req.unique)
	out.write(append(reply, entry...))
}

// work answers a request in the background and then gives its slot back.
func (s *Server) work(req requestHeader, msg message, out *replyWriter, slot chan struct{}) {
	s.wg.Add(1)
	go func() {
		defer s.wg.Done()
		s.answer(req, msg, out)
		<-slot
	}()
}

// Wait returns when no request is at work. The file system must have been stopped and Serve have returned.
func (s *Server) Wait() { s.wg.Wait() }

// answer lets the file system handle one request and sends its answer.
func (s *Server) answer(req requestHeader, msg message, out *replyWriter) {
	defer msg.free()
	reply := newMessage(replySize(req, msg.data))
	defer reply.free()
	n, ok := s.handle(msg.data, reply.data)
	if !ok {
		out.fail(req, eIO)
		return
	}
	if n > 0 {
		out.write(reply.data[:n])
	}
}

// handle keeps a panic in the decoder to the request that caused it.
func (s *Server) handle(in, out []byte) (n int, ok bool) {
	defer func() {
		if v := recover(); v != nil {
			klog.ErrorS(nil, "Request decoder panicked; answered EIO", "panic", v, "stack", string(debug.Stack()))
			n, ok = 0, false
		}
	}()
	return s.fs.Handle(in, out)
}

// readMessage reads one whole request.
func readMessage(in *bufio.Reader) (message, error) {
	head, err := in.Peek(4)
	if err != nil {
		return message{}, err
	}
	size := binary.NativeEndian.Uint32(head)
	if size < headerSize || size > maxMessage {
		return message{}, fmt.Errorf("request of %d bytes: must be %d to %d", size, headerSize, maxMessage)
	}
	msg := newMessage(int(size))
	if _, err := io.ReadFull(in, msg.data); err != nil {
		msg.free()
		return message{}, err
	}
	return msg, nil
}

// replyWriter sends answers whole, one at a time.
type replyWriter struct {
	mu  sync.Mutex
	w   io.Writer
	err error // guarded by mu
}

func (r *replyWriter) write(data []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		_, r.err = r.w.Write(data)
	}
}

// fail answers a request with an error, if it takes an answer.
func (r *replyWriter) fail(req requestHeader, errno int32) {
	if req.opcode == opForget || req.opcode == opBatchForget || req.opcode == opNotifyReply {
		return
	}
	var reply [16]byte
	binary.NativeEndian.PutUint32(reply[0:], 16)
	binary.NativeEndian.PutUint32(reply[4:], uint32(-errno))
	binary.NativeEndian.PutUint64(reply[8:], req.unique)
	r.write(reply[:])
}
