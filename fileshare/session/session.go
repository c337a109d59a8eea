//go:build linux

// Package session carries the FUSE messages of one share between a stream from
// the guest and a file system, bounding what the guest may send: the size of a
// message, of its answer, and the number of requests at work.
package session

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
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

// Server answers the requests of one share. It outlives connections: inodes
// and handles stay when the stream breaks and a new one comes.
type Server struct {
	fs    FileSystem
	proto *fuse.ProtocolServer
	slots chan struct{}
	waits chan struct{} // slots of lock waits
	wg    sync.WaitGroup
	out   atomic.Pointer[replyWriter] // of the newest stream
}

// FileSystem is what a Server serves.
type FileSystem interface {
	fuse.RawFileSystem
	// Relookup counts a reference of the client to an inode that it has, and tells
	// what a lookup of one of its names would.
	Relookup(node uint64, out *fuse.EntryOut) fuse.Status
}

// New makes a server of fs.
func New(fs FileSystem) *Server {
	return &Server{
		fs: fs,
		proto: fuse.NewProtocolServer(fs, &fuse.MountOptions{
			MaxWrite:      MaxWrite,
			MaxReadAhead:  MaxWrite,
			MaxBackground: 64,
			EnableLocks:   true,
			EnableAcl:     true,
			// The client leaves umask, setuid clearing and O_TRUNC to the server: fewer round trips, and atomic.
			// It always reads directories with attributes (no CAP_READDIRPLUS_AUTO, which asks for
			// most of them one by one): find over 200,000 files took 5 s instead of 38.
			ExtraCapabilities: fuse.CAP_DONT_MASK | fuse.CAP_HANDLE_KILLPRIV_V2 | fuse.CAP_ATOMIC_O_TRUNC |
				fuse.CAP_ASYNC_DIO,
			Logger: log.New(io.Discard, "", 0),
			PanicHandler: func(v any) fuse.Status {
				klog.ErrorS(nil, "Request handler panicked; answered EIO", "panic", v, "stack", string(debug.Stack()))
				return fuse.EIO
			},
		}),
		slots: make(chan struct{}, maxRequests),
		waits: make(chan struct{}, maxLockWaits),
	}
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
		if verdict := inspect(req, msg.data); verdict != nil {
			out.fail(req, verdict.(unix.Errno))
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
				out.fail(req, unix.ENOLCK)
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
	var entry fuse.EntryOut
	if status := s.fs.Relookup(req.node, &entry); !status.Ok() {
		out.fail(req, unix.Errno(status))
		return
	}
	const size = 16 + unsafe.Sizeof(entry)
	reply := make([]byte, 16, size)
	binary.NativeEndian.PutUint32(reply, uint32(size))
	binary.NativeEndian.PutUint64(reply[8:], req.unique)
	out.write(append(reply, unsafe.Slice((*byte)(unsafe.Pointer(&entry)), unsafe.Sizeof(entry))...))
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
		out.fail(req, unix.EIO)
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
	n, code := s.proto.HandleRequest([][]byte{in}, [][]byte{out})
	return n, code.Ok()
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
func (r *replyWriter) fail(req requestHeader, errno unix.Errno) {
	if req.opcode == opForget || req.opcode == opBatchForget || req.opcode == opNotifyReply {
		return
	}
	var reply [16]byte
	binary.NativeEndian.PutUint32(reply[0:], 16)
	binary.NativeEndian.PutUint32(reply[4:], uint32(-int32(errno)))
	binary.NativeEndian.PutUint64(reply[8:], req.unique)
	r.write(reply[:])
}
