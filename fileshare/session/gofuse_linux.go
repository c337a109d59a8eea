package session

import (
	"encoding/binary"
	"io"
	"log"
	"runtime/debug"
	"unsafe"

	"github.com/hanwen/go-fuse/v2/fuse"
	"k8s.io/klog/v2"
)

// FileSystem is a file system in the terms of go-fuse, which reads and writes the messages of Linux hosts.
type FileSystem interface {
	fuse.RawFileSystem
	// Relookup counts a reference of the client to an inode that it has, and tells
	// what a lookup of one of its names would.
	Relookup(node uint64, out *fuse.EntryOut) fuse.Status
	// PathEnded tells that a thread of the client has asked for what no path's
	// resolution asks for: whatever path it followed before has been resolved.
	PathEnded(thread uint32)
}

// New makes a server of fs.
func New(fs FileSystem) *Server { return NewServer(NewHandler(fs)) }

// goFuse is a Handler.
type goFuse struct {
	fs    FileSystem
	proto *fuse.ProtocolServer
}

// NewHandler makes a Handler of fs.
func NewHandler(fs FileSystem) Handler {
	return &goFuse{fs: fs, proto: fuse.NewProtocolServer(fs, &fuse.MountOptions{
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
	})}
}

func (g *goFuse) Handle(in, out []byte) (n int, ok bool) {
	if !ofAPath(header(in).opcode) {
		g.fs.PathEnded(binary.NativeEndian.Uint32(in[threadAt:]))
	}
	n, code := g.proto.HandleRequest([][]byte{in}, [][]byte{out})
	return n, code.Ok()
}

func (g *goFuse) Relookup(node uint64) (entry []byte, errno int32) {
	var out fuse.EntryOut
	if status := g.fs.Relookup(node, &out); !status.Ok() {
		return nil, int32(status)
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&out)), unsafe.Sizeof(out)), 0
}
