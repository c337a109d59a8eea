package session

import "encoding/binary"

// Errors and a limit of the client's kernel, which is Linux.
const (
	eIO     = 5
	eINVAL  = 22
	eNOTTY  = 25
	eNOLCK  = 37
	pathMax = 4096
)

// Opcodes that are treated apart.
const (
	opLookup      = 1
	opForget      = 2
	opGetattr     = 3
	opReadlink    = 5
	opRead        = 15
	opGetxattr    = 22
	opListxattr   = 23
	opInit        = 26
	opReaddir     = 28
	opSetlkw      = 33
	opAccess      = 34
	opInterrupt   = 36
	opIoctl       = 39
	opNotifyReply = 41
	opBatchForget = 42
	opReaddirplus = 44
	opStatx       = 52
)

// ofAPath tells whether the kernel may ask that in the midst of a path's resolution:
// names, links, what permissions are checked by, and what it does for itself.
func ofAPath(opcode uint32) bool {
	switch opcode {
	case opLookup, opReadlink, opGetattr, opAccess, opGetxattr, opStatx, opForget, opBatchForget, opInterrupt, opNotifyReply:
		return true
	}
	return false
}

const (
	headerSize = 40
	threadAt   = 32   // of struct fuse_in_header's pid
	replyFixed = 1024 // every answer's fixed part fits
)

// requestHeader is what we need of struct fuse_in_header.
type requestHeader struct {
	opcode       uint32
	unique, node uint64
}

func header(msg []byte) requestHeader {
	return requestHeader{
		opcode: binary.NativeEndian.Uint32(msg[4:]),
		unique: binary.NativeEndian.Uint64(msg[8:]),
		node:   binary.NativeEndian.Uint64(msg[16:]),
	}
}

// wanted is the size of the answer's payload that a request asks for, and the most it may ask for.
func wanted(req requestHeader, msg []byte) (size, limit int, ok bool) {
	at, limit := 0, 0
	switch req.opcode {
	case opRead, opReaddir, opReaddirplus:
		at, limit = 56, MaxWrite
	case opGetxattr, opListxattr:
		at, limit = 40, maxXattr
	default:
		return 0, 0, true
	}
	if len(msg) < at+4 {
		return 0, limit, false
	}
	return int(binary.NativeEndian.Uint32(msg[at:])), limit, true
}

// inspect refuses what must not reach the decoder, with an error's number.
func inspect(req requestHeader, msg []byte) (errno int32) {
	if req.opcode == opIoctl {
		return eNOTTY
	}
	size, limit, ok := wanted(req, msg)
	if !ok || size > limit {
		return eINVAL
	}
	return 0
}

// replySize is the room an answer needs.
func replySize(req requestHeader, msg []byte) int {
	if req.opcode == opReadlink {
		return replyFixed + pathMax
	}
	size, _, _ := wanted(req, msg)
	return replyFixed + size
}
