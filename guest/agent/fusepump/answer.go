//go:build linux

package fusepump

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/guest/sharechange"
)

// Requests of a replayed operation, and what is answered:
//
//	LOOKUP of what is to be created    ENOENT
//	LOOKUP of what is to go, or gone   the node that the guest knows it by, else one made up
//	MKNOD, MKDIR, SYMLINK              the host's LOOKUP; of what is gone, a node made up
//	UNLINK, RMDIR, RENAME              done
//	SETATTR                            the host's GETATTR; of a node made up, its attributes
//	OPEN, FLUSH, RELEASE               done, on a handle made up
//
// Everything else goes to the host. What lived for moments only, like an editor's
// temporary file, is thus seen to come and go, though nobody can open it.
const (
	opSetattr = 4
	opSymlink = 6
	opMknod   = 8
	opMkdir   = 9
	opUnlink  = 10
	opRmdir   = 11
	opRename  = 12
	opRelease = 18
	opFlush   = 25
	opRename2 = 45

	// madeUp is set in numbers of nodes and handles that the host has not given.
	madeUp = 1 << 63

	entrySize, attrSize, openSize, getattrSize = 128, 88, 16, 16
)

// answerReplay answers a request that a replayed operation makes, if it is one
// that must not reach the host as it is.
func (p *pump) answerReplay(msg []byte) bool {
	opcode, unique, node := binary.NativeEndian.Uint32(msg[4:]), binary.NativeEndian.Uint64(msg[8:]), binary.NativeEndian.Uint64(msg[16:])
	body := msg[inHeaderSize:]
	if (opcode == opFlush || opcode == opRelease) && len(body) >= 8 && binary.NativeEndian.Uint64(body)&madeUp != 0 {
		p.replyError(unique, 0)
		return true
	}
	r := p.replay.Load()
	if r == nil || binary.NativeEndian.Uint32(msg[32:]) != r.thread {
		return false
	}
	switch opcode {
	case opLookup:
		name, _, _ := bytes.Cut(body, []byte{0})
		return p.answerLookup(r, msg, node, string(name))
	case opMknod, opMkdir, opSymlink:
		entry := p.madeUpEntry(unique, r.Mode, r.Ino)
		if r.Gone {
			p.dev.Answer(entry) // fails if the request is gone: fine
		} else {
			p.forward(msg, opLookup, node, append([]byte(r.Name), 0), entry)
		}
	case opSetattr:
		if node&madeUp != 0 {
			p.dev.Answer(madeUpAttributes(unique, r.Mode, r.Ino)) // as above
		} else {
			p.forward(msg, opGetattr, node, make([]byte, getattrSize), madeUpAttributes(unique, r.Mode, r.Ino))
		}
	case opUnlink, opRmdir, opRename, opRename2:
		p.replyError(unique, 0)
	case opOpen:
		if r.Kind != sharechange.CloseWrite {
			return false
		}
		body := make([]byte, openSize)
		binary.NativeEndian.PutUint64(body, madeUp)
		p.dev.Answer(reply(unique, body)) // fails if the request is gone: fine
	default:
		return false
	}
	return true
}

func (p *pump) answerLookup(r *replay, msg []byte, dir uint64, name string) bool {
	unique := binary.NativeEndian.Uint64(msg[8:])
	source := dir == r.Dir && name == r.Name
	target := r.Kind == sharechange.Rename && dir == r.NewDir && name == r.NewName
	switch {
	case source && r.Kind == sharechange.Create, target && r.Replaced == 0:
		p.replyError(unique, unix.ENOENT)
	case target:
		p.relookup(msg, r.Replaced, r.ReplacedMode, 0)
	case source && r.Node != 0 && (r.Kind <= sharechange.Rename || r.Gone):
		p.relookup(msg, r.Node, r.Mode, r.Ino)
	case source && r.Kind == sharechange.Rename:
		p.forward(msg, opLookup, r.NewDir, append([]byte(r.NewName), 0), p.madeUpEntry(unique, r.Mode, r.Ino))
	case source && (r.Kind == sharechange.Delete || r.Gone):
		p.dev.Answer(p.madeUpEntry(unique, r.Mode, r.Ino)) // as above
	case source: // it may have gone since
		p.forward(msg, opLookup, dir, append([]byte(name), 0), p.madeUpEntry(unique, r.Mode, r.Ino))
	default:
		return false
	}
	return true
}

// relookup answers a lookup with a node that the guest knows, or did.
func (p *pump) relookup(msg []byte, node uint64, mode uint32, ino uint64) {
	p.forward(msg, sharechange.OpRelookup, node, nil, p.madeUpEntry(binary.NativeEndian.Uint64(msg[8:]), mode, ino))
}

// forward sends the host another request in place of one of the kernel's, which
// gets the answer; or instead, if that is set and the answer is an error.
func (p *pump) forward(msg []byte, opcode uint32, node uint64, body, instead []byte) {
	out := append(bytes.Clone(msg[:inHeaderSize]), body...)
	binary.NativeEndian.PutUint32(out, uint32(len(out)))
	binary.NativeEndian.PutUint32(out[4:], opcode)
	binary.NativeEndian.PutUint64(out[16:], node)
	p.pass(out, opcode, instead)
}

// madeUpEntry answers a lookup with a node that only this answer knows.
func (p *pump) madeUpEntry(unique uint64, mode uint32, ino uint64) []byte {
	p.madeUpNodes++
	if ino == 0 {
		ino = madeUp | p.madeUpNodes
	}
	body := make([]byte, 40, entrySize) // struct fuse_entry_out
	binary.NativeEndian.PutUint64(body, madeUp|p.madeUpNodes)
	binary.NativeEndian.PutUint64(body[24:], 1) // the attributes are good for a second; the name is not
	return reply(unique, appendAttributes(body, mode, ino))
}

// madeUpAttributes answers for such a node.
func madeUpAttributes(unique uint64, mode uint32, ino uint64) []byte {
	body := make([]byte, 16, 16+attrSize) // struct fuse_attr_out
	binary.NativeEndian.PutUint64(body, 1)
	return reply(unique, appendAttributes(body, mode, ino))
}

// appendAttributes appends a struct fuse_attr of a file of root's.
func appendAttributes(body []byte, mode uint32, ino uint64) []byte {
	attr := make([]byte, attrSize)
	binary.NativeEndian.PutUint64(attr, ino)
	links := uint32(1)
	if mode&unix.S_IFMT == unix.S_IFDIR {
		links = 2
	}
	binary.NativeEndian.PutUint32(attr[60:], mode)
	binary.NativeEndian.PutUint32(attr[64:], links)
	return append(body, attr...)
}

func reply(unique uint64, body []byte) []byte {
	msg := make([]byte, outHeaderSize, outHeaderSize+len(body))
	binary.NativeEndian.PutUint32(msg, uint32(outHeaderSize+len(body)))
	binary.NativeEndian.PutUint64(msg[8:], unique)
	return append(msg, body...)
}

func appendUint32(b []byte, v uint32) []byte { return binary.NativeEndian.AppendUint32(b, v) }

// invalidate makes the kernel forget what it has cached of what was changed.
func (p *pump) invalidate(c *sharechange.Change) {
	const attributes, data = -1, 0
	if c.Kind <= sharechange.Rename {
		p.invalidateNode(c.Dir, attributes)
	}
	switch c.Kind {
	case sharechange.Delete, sharechange.Rename:
		p.invalidateName(c.Dir, c.Name)
		p.invalidateNode(c.Node, attributes) // its links
		if c.Kind == sharechange.Rename {
			p.invalidateName(c.NewDir, c.NewName)
			p.invalidateNode(c.NewDir, attributes)
			p.invalidateNode(c.Replaced, attributes)
		}
	case sharechange.Modify:
		p.invalidateNode(c.Node, data)
	case sharechange.Attrib:
		p.invalidateNode(c.Node, attributes)
	}
}

// The kernel's notices (linux/fuse.h, enum fuse_notify_code).
const (
	notifyInvalInode = 2
	notifyInvalEntry = 3
)

func (p *pump) invalidateNode(node uint64, from int64) {
	if node == 0 {
		return
	}
	body := binary.NativeEndian.AppendUint64(nil, node)
	body = binary.NativeEndian.AppendUint64(body, uint64(from))
	p.notify(notifyInvalInode, binary.NativeEndian.AppendUint64(body, 0))
}

func (p *pump) invalidateName(dir uint64, name string) {
	body := binary.NativeEndian.AppendUint64(nil, dir)
	body = binary.NativeEndian.AppendUint32(body, uint32(len(name)))
	body = binary.NativeEndian.AppendUint32(body, 0)
	p.notify(notifyInvalEntry, append(append(body, name...), 0))
}

// notify must not be called by who passes answers on: the kernel may wait for one.
func (p *pump) notify(code uint32, body []byte) {
	msg := reply(0, body)
	binary.NativeEndian.PutUint32(msg[4:], code)
	p.dev.Notify(msg) // fails if the kernel does not know the node: fine
}
