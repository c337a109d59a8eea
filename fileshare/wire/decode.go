package wire

import (
	"bytes"
	"encoding/binary"
)

// Opcodes (enum fuse_opcode).
const (
	opLookup      = 1
	opForget      = 2
	opGetattr     = 3
	opSetattr     = 4
	opReadlink    = 5
	opSymlink     = 6
	opMknod       = 8
	opMkdir       = 9
	opUnlink      = 10
	opRmdir       = 11
	opRename      = 12
	opLink        = 13
	opOpen        = 14
	opRead        = 15
	opWrite       = 16
	opStatfs      = 17
	opRelease     = 18
	opFsync       = 20
	opSetxattr    = 21
	opGetxattr    = 22
	opListxattr   = 23
	opRemovexattr = 24
	opFlush       = 25
	opInit        = 26
	opOpendir     = 27
	opReaddir     = 28
	opReleasedir  = 29
	opFsyncdir    = 30
	opGetlk       = 31
	opSetlk       = 32
	opSetlkw      = 33
	opAccess      = 34
	opCreate      = 35
	opInterrupt   = 36
	opDestroy     = 38
	opNotifyReply = 41
	opBatchForget = 42
	opFallocate   = 43
	opReaddirplus = 44
	opRename2     = 45
)

// requestHeader is the size of struct fuse_in_header.
const requestHeader = 40

// request is a request that is being read: each method takes the next of its
// bytes. A read beyond its end sets bad and gives zeros.
type request struct {
	opcode       uint32
	unique, node uint64
	caller       Caller
	rest         []byte
	bad          bool
}

func newRequest(msg []byte) (r request, ok bool) {
	if len(msg) < requestHeader {
		return r, false
	}
	u32, u64 := binary.LittleEndian.Uint32, binary.LittleEndian.Uint64
	return request{
		opcode: u32(msg[4:]), unique: u64(msg[8:]), node: u64(msg[16:]),
		caller: Caller{UID: u32(msg[24:]), GID: u32(msg[28:])}, rest: msg[requestHeader:],
	}, true
}

func (r *request) take(n int) []byte {
	if n < 0 || n > len(r.rest) {
		r.bad, r.rest = true, nil
		return make([]byte, min(max(n, 0), 8))
	}
	out := r.rest[:n]
	r.rest = r.rest[n:]
	return out
}

func (r *request) u32() uint32 { return binary.LittleEndian.Uint32(r.take(4)) }
func (r *request) u64() uint64 { return binary.LittleEndian.Uint64(r.take(8)) }
func (r *request) skip(n int)  { r.take(n) }

// name takes a text up to its NUL.
func (r *request) name() string {
	text, rest, ok := bytes.Cut(r.rest, []byte{0})
	if !ok || len(text) > maxName {
		r.bad, r.rest = true, nil
		return ""
	}
	r.rest = rest
	return string(text)
}

// Bits of fuse_setattr_in.valid.
const (
	setMode      = 1 << 0
	setUID       = 1 << 1
	setGID       = 1 << 2
	setSize      = 1 << 3
	setAccess    = 1 << 4
	setModify    = 1 << 5
	setHandle    = 1 << 6
	setAccessNow = 1 << 7
	setModifyNow = 1 << 8
	setKill      = 1 << 11
)

// setattr reads struct fuse_setattr_in.
func (r *request) setattr() *SetAttr {
	valid := r.u32()
	r.skip(4)
	handle, size := r.u64(), r.u64()
	r.skip(8)
	access, modify := Time{Sec: int64(r.u64())}, Time{Sec: int64(r.u64())}
	r.skip(8)
	access.Nsec, modify.Nsec = r.u32(), r.u32()
	r.skip(4)
	mode := r.u32()
	r.skip(4)
	uid, gid := r.u32(), r.u32()
	r.skip(4)
	set := &SetAttr{AccessNow: valid&setAccessNow != 0, ModifyNow: valid&setModifyNow != 0, KillSetID: valid&setKill != 0}
	for _, f := range []struct {
		bit   uint32
		field **uint32
		value uint32
	}{{setMode, &set.Mode, mode}, {setUID, &set.UID, uid}, {setGID, &set.GID, gid}} {
		if valid&f.bit != 0 {
			*f.field = &f.value
		}
	}
	if valid&setSize != 0 {
		set.Size = &size
	}
	if valid&setHandle != 0 {
		set.Handle = &handle
	}
	if valid&setAccess != 0 {
		set.Access = &access
	}
	if valid&setModify != 0 {
		set.Modify = &modify
	}
	return set
}

// lock reads struct fuse_lk_in.
func (r *request) lock() Lock {
	r.skip(8) // the handle: owners tell locks apart
	l := Lock{Owner: r.u64(), Start: r.u64(), End: r.u64(), Type: r.u32(), PID: r.u32()}
	l.Flock = r.u32()&1 != 0
	r.skip(4)
	return l
}
