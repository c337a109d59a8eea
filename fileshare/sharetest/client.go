package sharetest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/paddock-run/paddock/fileshare/session"
)

// Opcodes (enum fuse_opcode of Linux' include/uapi/linux/fuse.h).
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
	opCreate      = 35
	opInterrupt   = 36
	opPoll        = 40
	opFallocate   = 43
	opReaddirplus = 44
	opRename2     = 45
)

// Linux' errors, flags and types: the client is Linux wherever the test runs.
const (
	ePERM      errno = 1
	eNOENT     errno = 2
	eINTR      errno = 4
	eAGAIN     errno = 11
	eACCES     errno = 13
	eEXIST     errno = 17
	eNOTDIR    errno = 20
	eISDIR     errno = 21
	eINVAL     errno = 22
	eROFS      errno = 30
	eNOTEMPTY  errno = 39
	eNODATA    errno = 61
	eOPNOTSUPP errno = 95
	eSTALE     errno = 116
	eBADF      errno = 9

	oWRONLY, oRDWR, oEXCL, oTRUNC, oAPPEND = 1, 2, 0o200, 0o1000, 0o2000
	sIFMT, sIFDIR, sIFREG, sIFLNK          = 0o170000, 0o040000, 0o100000, 0o120000
)

// errno is Linux' number of an error.
type errno int32

func (e errno) Error() string { return fmt.Sprintf("Linux errno %d", int32(e)) }

// answerRoom is what the largest answer takes.
const answerRoom = session.MaxWrite + 1024

// client sends requests to a back end.
type client struct {
	t      testing.TB
	h      session.Handler
	unique uint64
}

// message makes a request.
func message(opcode uint32, unique, node uint64, payload []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(40+len(payload)))
	b = binary.LittleEndian.AppendUint32(b, opcode)
	for _, v := range []uint64{unique, node} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	for _, v := range []uint32{1000, 2000, 77, 0} { // the caller's uid, gid and pid
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return append(b, payload...)
}

// fields makes a payload of uint32s, uint64s, texts with their NUL, and bytes.
func fields(values ...any) []byte {
	var b []byte
	for _, v := range values {
		switch v := v.(type) {
		case uint32:
			b = binary.LittleEndian.AppendUint32(b, v)
		case int:
			b = binary.LittleEndian.AppendUint32(b, uint32(v))
		case uint64:
			b = binary.LittleEndian.AppendUint64(b, v)
		case string:
			b = append(append(b, v...), 0)
		case []byte:
			b = append(b, v...)
		}
	}
	return b
}

// ask sends a request and returns the answer's payload.
func (c *client) ask(opcode uint32, node uint64, values ...any) ([]byte, error) {
	c.unique += 2
	return c.askAs(c.unique, opcode, node, values...)
}

func (c *client) askAs(unique uint64, opcode uint32, node uint64, values ...any) ([]byte, error) {
	c.t.Helper()
	out := make([]byte, answerRoom)
	n, ok := c.h.Handle(message(opcode, unique, node, fields(values...)), out)
	if !ok {
		return nil, errors.New("the request could not be read")
	}
	if n < 16 || binary.LittleEndian.Uint32(out) != uint32(n) || binary.LittleEndian.Uint64(out[8:]) != unique {
		c.t.Fatalf("opcode %d: a malformed answer of %d bytes: %x", opcode, n, out[:min(n, 64)])
	}
	if e := int32(binary.LittleEndian.Uint32(out[4:])); e != 0 {
		if n != 16 {
			c.t.Errorf("opcode %d: error %d has a payload", opcode, -e)
		}
		return nil, errno(-e)
	}
	return out[16:n], nil
}

// tell sends a request that takes no answer.
func (c *client) tell(opcode uint32, node uint64, values ...any) {
	c.t.Helper()
	c.unique += 2
	if n, ok := c.h.Handle(message(opcode, c.unique, node, fields(values...)), make([]byte, answerRoom)); n != 0 || !ok {
		c.t.Errorf("opcode %d was answered with %d bytes, %v", opcode, n, ok)
	}
}

// must fails the test unless a request succeeds.
func (c *client) must(opcode uint32, node uint64, values ...any) []byte {
	c.t.Helper()
	b, err := c.ask(opcode, node, values...)
	if err != nil {
		c.t.Fatalf("opcode %d of node %d: %v", opcode, node, err)
	}
	return b
}

// fails checks that a request fails with one of these errors.
func (c *client) fails(want []errno, opcode uint32, node uint64, values ...any) {
	c.t.Helper()
	_, err := c.ask(opcode, node, values...)
	for _, e := range want {
		if err == e {
			return
		}
	}
	c.t.Errorf("opcode %d of node %d: %v, want %v", opcode, node, err, want)
}

// attr is what a test looks at of struct fuse_attr.
type attr struct {
	ino, size             uint64
	mode, links, uid, gid uint32
}

func readAttr(b []byte) attr {
	u32 := func(at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
	return attr{ino: binary.LittleEndian.Uint64(b), size: binary.LittleEndian.Uint64(b[8:]), mode: u32(60), links: u32(64), uid: u32(68), gid: u32(72)}
}

// entry is struct fuse_entry_out.
type entry struct {
	node uint64
	attr
}

func readEntry(b []byte) entry {
	return entry{node: binary.LittleEndian.Uint64(b), attr: readAttr(b[40:])}
}

func (c *client) lookup(parent uint64, name string) entry {
	c.t.Helper()
	return readEntry(c.must(opLookup, parent, name))
}

func (c *client) mkdir(parent uint64, name string) entry {
	c.t.Helper()
	return readEntry(c.must(opMkdir, parent, 0o755, 0o022, name))
}

// create makes and opens a file.
func (c *client) create(parent uint64, name string, flags int) (entry, uint64) {
	c.t.Helper()
	b := c.must(opCreate, parent, flags|oRDWR, sIFREG|0o666, 0o022, 0, name)
	return readEntry(b), binary.LittleEndian.Uint64(b[128:])
}

func (c *client) open(node uint64, flags int) uint64 {
	c.t.Helper()
	return binary.LittleEndian.Uint64(c.must(opOpen, node, flags, 0))
}

func (c *client) getattr(node uint64) attr {
	c.t.Helper()
	return readAttr(c.must(opGetattr, node, 0, 0, uint64(0))[16:])
}

func (c *client) write(node, handle, offset uint64, text string, flags int) {
	c.t.Helper()
	b := c.must(opWrite, node, handle, offset, len(text), 0, uint64(0), flags, 0, []byte(text))
	if n := binary.LittleEndian.Uint32(b); int(n) != len(text) {
		c.t.Errorf("wrote %d of %d bytes", n, len(text))
	}
}

func (c *client) read(node, handle, offset uint64, size int) string {
	c.t.Helper()
	return string(c.must(opRead, node, handle, offset, size, 0, uint64(0), 0, 0))
}

func (c *client) release(node, handle uint64) {
	c.t.Helper()
	c.must(opRelease, node, handle, 0, 0, uint64(0))
}

// setattr changes what the bits of valid name.
func (c *client) setattr(node uint64, valid int, size uint64, mode, uid, gid int, seconds uint64) ([]byte, error) {
	c.t.Helper()
	return c.ask(opSetattr, node, valid, 0, uint64(0), size, uint64(0), seconds, seconds, uint64(0), 0, 0, 0, mode, 0, uid, gid, 0)
}

// dirent is one entry of a directory.
type dirent struct {
	name   string
	offset uint64
	typ    uint32
	node   uint64 // of readdirplus
}

// readdir reads the entries after offset that fit into size bytes.
func (c *client) readdir(opcode uint32, node, handle, offset uint64, size int) []dirent {
	c.t.Helper()
	b := c.must(opcode, node, handle, offset, size, 0, uint64(0), 0, 0)
	if len(b) > size {
		c.t.Fatalf("%d bytes of entries, asked for %d", len(b), size)
	}
	var all []dirent
	for len(b) > 0 {
		var e dirent
		if opcode == opReaddirplus {
			e.node = binary.LittleEndian.Uint64(b)
			b = b[128:]
		}
		e.offset = binary.LittleEndian.Uint64(b[8:])
		n := int(binary.LittleEndian.Uint32(b[16:]))
		e.typ = binary.LittleEndian.Uint32(b[20:]) << 12
		e.name = string(bytes.Clone(b[24 : 24+n]))
		b = b[(24+n+7)&^7:]
		all = append(all, e)
	}
	return all
}
