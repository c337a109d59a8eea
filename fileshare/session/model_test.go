//go:build linux

package session

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/fileshare/modeltest"
)

const (
	opReleaseFile = 18
	opRemovexattr = 24
	opReleasedir  = 29
	setMode       = 1 << 0
	setSize       = 1 << 3
)

// raw does operations by FUSE requests. It looks every path up and forgets
// nothing for a while, so that the server has more inodes than descriptors.
type raw struct {
	c     *client
	known []uint64          // a node for each lookup
	inos  map[uint64]uint64 // by node: a node never becomes another file
}

// keep bounds the references that raw holds.
const keep = 60

func (r *raw) lookup(dir uint64, name string) (uint64, uint32, unix.Errno) {
	errno, body := r.c.do(opLookup, dir, words(name)...)
	if errno != 0 {
		return 0, 0, errno
	}
	node := binary.NativeEndian.Uint64(body)
	r.hold(node, binary.NativeEndian.Uint64(body[40:]))
	return node, binary.NativeEndian.Uint32(body[40+60:]), 0
}

func (r *raw) hold(node, ino uint64) {
	r.c.t.Helper()
	if was := r.inos[node]; was != 0 && was != ino {
		r.c.t.Fatalf("node %d was inode %d and is %d", node, was, ino)
	}
	r.inos[node] = ino
	r.known = append(r.known, node)
	if len(r.known) > keep {
		r.c.forget(r.known[0], 1)
		r.known = r.known[1:]
	}
}

// dir finds a path's folder.
func (r *raw) dir(path string) (node uint64, name string, errno unix.Errno) {
	parts, name := modeltest.Split(path)
	node = 1
	for _, part := range parts {
		next, mode, errno := r.lookup(node, part)
		if errno == 0 && mode&unix.S_IFMT != unix.S_IFDIR {
			errno = unix.ENOTDIR
		}
		if errno != 0 {
			return 0, "", errno
		}
		node = next
	}
	return node, name, 0
}

// recheck looks at a node from long ago: it is the same file, or stale.
func (r *raw) recheck() {
	r.c.t.Helper()
	if len(r.known) == 0 {
		return
	}
	node := r.known[0]
	errno, body := r.c.do(opGetattr, node, make([]byte, 16)...)
	switch {
	case errno == unix.ESTALE:
	case errno != 0:
		r.c.t.Fatalf("node %d: %v", node, errno)
	case binary.NativeEndian.Uint64(body[16:]) != r.inos[node]:
		r.c.t.Fatalf("node %d was inode %d and is %d", node, r.inos[node], binary.NativeEndian.Uint64(body[16:]))
	}
}

// Do implements modeltest.Tree.
func (r *raw) Do(op modeltest.Op) string {
	r.recheck()
	dir, name, errno := r.dir(op.A)
	if errno != 0 {
		return modeltest.Result(errno, "")
	}
	text := ""
	switch op.Kind {
	case modeltest.Unlink:
		errno, _ = r.c.do(opUnlink, dir, words(name)...)
	case modeltest.Rmdir:
		errno, _ = r.c.do(opRmdir, dir, words(name)...)
	case modeltest.Mkdir:
		errno = r.made(r.c.do(opMkdir, dir, words(uint32(0o755), uint32(0), name)...))
	case modeltest.Symlink:
		errno = r.made(r.c.do(opSymlink, dir, words(name, op.B)...))
	case modeltest.Create:
		errno = r.create(dir, name)
	case modeltest.Rename, modeltest.Link:
		errno = r.two(op, dir, name)
	default:
		errno, text = r.one(op, dir, name)
	}
	return modeltest.Result(errno, text)
}

// made notes the reference that an answer brings.
func (r *raw) made(errno unix.Errno, body []byte) unix.Errno {
	if errno == 0 {
		r.hold(binary.NativeEndian.Uint64(body), binary.NativeEndian.Uint64(body[40:]))
	}
	return errno
}

func (r *raw) create(dir uint64, name string) unix.Errno {
	errno, body := r.c.do(opCreate, dir, words(uint32(unix.O_RDWR|unix.O_EXCL), uint32(0o640), uint32(0), uint32(0), name)...)
	if errno != 0 {
		return errno
	}
	node := binary.NativeEndian.Uint64(body)
	r.hold(node, binary.NativeEndian.Uint64(body[40:]))
	r.release(opReleaseFile, node, binary.NativeEndian.Uint64(body[128:]))
	return 0
}

func (r *raw) release(opcode uint32, node, fh uint64) {
	r.c.must(opcode, node, words(fh, uint32(0), uint32(0), uint64(0))...)
}

func (r *raw) two(op modeltest.Op, dir uint64, name string) unix.Errno {
	if op.Kind == modeltest.Rename {
		other, otherName, errno := r.dir(op.B)
		if errno != 0 {
			return errno
		}
		errno, _ = r.c.do(opRename2, dir, words(other, op.Flags, uint32(0), name, otherName)...)
		return errno
	}
	other, otherName, errno := r.dir(op.B)
	if errno != 0 {
		return errno
	}
	node, _, errno := r.lookup(dir, name)
	if errno != 0 {
		return errno
	}
	return r.made(r.c.do(opLink, other, words(node, otherName)...))
}

// one does what needs the inode.
func (r *raw) one(op modeltest.Op, dir uint64, name string) (unix.Errno, string) {
	node, mode, errno := r.lookup(dir, name)
	if errno != 0 {
		return errno, ""
	}
	isLink := mode&unix.S_IFMT == unix.S_IFLNK
	switch op.Kind {
	case modeltest.Readlink:
		if !isLink {
			return unix.EINVAL, ""
		}
		errno, body := r.c.do(opReadlink, node)
		return errno, string(body)
	case modeltest.Stat:
		errno, body := r.c.do(opGetattr, node, make([]byte, 16)...)
		if errno != 0 {
			return errno, ""
		}
		attr := body[16:]
		return 0, modeltest.Attributes(binary.NativeEndian.Uint32(attr[60:]), binary.NativeEndian.Uint32(attr[64:]), int64(binary.NativeEndian.Uint64(attr[8:])))
	case modeltest.Chmod, modeltest.SetXattr, modeltest.GetXattr, modeltest.RemoveXattr:
		if isLink {
			return 0, "a link"
		}
		return r.attribute(op, node)
	case modeltest.List:
		if mode&unix.S_IFMT != unix.S_IFDIR {
			return unix.ENOTDIR, ""
		}
		return r.list(node)
	}
	return r.file(op, node)
}

func (r *raw) attribute(op modeltest.Op, node uint64) (unix.Errno, string) {
	switch op.Kind {
	case modeltest.Chmod:
		errno, _ := r.c.do(opSetattr, node, setattr(setMode, 0, op.Mode())...)
		return errno, ""
	case modeltest.SetXattr:
		value := op.XattrValue()
		errno, _ := r.c.do(opSetxattr, node, append(words(uint32(len(value)), uint32(0), op.XattrName()), value...)...)
		return errno, ""
	case modeltest.RemoveXattr:
		errno, _ := r.c.do(opRemovexattr, node, words(op.XattrName())...)
		return errno, ""
	}
	errno, body := r.c.do(opGetxattr, node, words(uint32(100), uint32(0), op.XattrName())...)
	return errno, string(body)
}

// setattr is a struct fuse_setattr_in.
func setattr(valid uint32, size uint64, mode uint32) []byte {
	b := make([]byte, 88)
	binary.NativeEndian.PutUint32(b, valid)
	binary.NativeEndian.PutUint64(b[16:], size)
	binary.NativeEndian.PutUint32(b[68:], mode)
	return b
}

func (r *raw) file(op modeltest.Op, node uint64) (unix.Errno, string) {
	flags := uint32(unix.O_WRONLY)
	switch op.Kind {
	case modeltest.Read:
		flags = unix.O_RDONLY
	case modeltest.Append:
		flags |= unix.O_APPEND
	}
	errno, body := r.c.do(opOpen, node, words(flags, uint32(0))...)
	if errno != 0 {
		return errno, ""
	}
	fh := binary.NativeEndian.Uint64(body)
	defer r.release(opReleaseFile, node, fh)
	switch op.Kind {
	case modeltest.Read:
		errno, body := r.c.do(opRead, node, words(fh, uint64(0), uint32(1<<16), uint32(0), uint64(0), uint32(flags), uint32(0))...)
		return errno, string(body)
	case modeltest.Truncate:
		errno, _ := r.c.do(opSetattr, node, setattr(setSize, uint64(op.N), 0)...)
		return errno, ""
	case modeltest.Punch:
		errno, _ := r.c.do(opFallocate, node, words(fh, uint64(op.N), uint64(4096), uint32(unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE), uint32(0))...)
		return errno, ""
	}
	content := op.Content()
	errno, _ = r.c.do(opWrite, node, append(words(fh, uint64(op.N), uint32(len(content)), uint32(0), uint64(0), flags, uint32(0)), content...)...)
	return errno, ""
}

func (r *raw) list(node uint64) (unix.Errno, string) {
	errno, body := r.c.do(opOpendir, node, words(uint32(0), uint32(0))...)
	if errno != 0 {
		return errno, ""
	}
	fh := binary.NativeEndian.Uint64(body)
	defer r.release(opReleasedir, node, fh)
	var names []string
	for offset := uint64(0); ; {
		errno, body := r.c.do(opReaddir, node, words(fh, offset, uint32(200), uint32(0), uint64(0), uint32(0), uint32(0))...)
		if errno != 0 {
			return errno, ""
		}
		if len(body) == 0 {
			break
		}
		for len(body) > 0 {
			size := int(binary.NativeEndian.Uint32(body[16:]))
			offset = binary.NativeEndian.Uint64(body[8:])
			if name := string(body[24 : 24+size]); name != "." && name != ".." {
				names = append(names, name)
			}
			body = body[(24+size+7)&^7:]
		}
	}
	slices.Sort(names)
	return 0, strings.Join(names, " ")
}

// FuzzOperations compares a share, through a raw client and with a handful of
// descriptors, with a folder.
func FuzzOperations(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(randomBytes(seed, 1600))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		top := t.TempDir()
		host, model := filepath.Join(top, "host"), filepath.Join(top, "model")
		for _, dir := range []string{host, model} {
			must(t, os.Mkdir(dir, 0o755))
		}
		c, _ := serve(t, host, false, 12)
		modeltest.Compare(t, modeltest.Parse(data), &raw{c: c, inos: map[uint64]uint64{}}, host, model)
	})
}

func randomBytes(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 0))
	var b bytes.Buffer
	for range n {
		b.WriteByte(byte(r.Uint32()))
	}
	return b.Bytes()
}
