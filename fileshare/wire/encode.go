package wire

import "encoding/binary"

// answerHeader is the size of struct fuse_out_header.
const answerHeader = 16

// answer is an answer's payload that is being written. It never grows beyond the
// room there is: what does not fit sets full.
type answer struct {
	buf  []byte // the header's room, and the payload so far
	full bool
}

func (a *answer) bytes(b []byte) {
	if len(a.buf)+len(b) > cap(a.buf) {
		a.full = true
		return
	}
	a.buf = append(a.buf, b...)
}

func (a *answer) u32(values ...uint32) {
	for _, v := range values {
		a.bytes(binary.LittleEndian.AppendUint32(nil, v))
	}
}

func (a *answer) u64(values ...uint64) {
	for _, v := range values {
		a.bytes(binary.LittleEndian.AppendUint64(nil, v))
	}
}

// room is how many bytes still fit.
func (a *answer) room() int { return cap(a.buf) - len(a.buf) }

// attr writes struct fuse_attr.
func (a *answer) attr(t *Attr) {
	a.u64(t.Ino, t.Size, t.Blocks, uint64(t.Access.Sec), uint64(t.Modify.Sec), uint64(t.Change.Sec))
	a.u32(t.Access.Nsec, t.Modify.Nsec, t.Change.Nsec, t.Mode, t.Links, t.UID, t.GID, t.Device, t.Unit, 0)
}

// entrySize is the size of struct fuse_entry_out.
const entrySize = 128

// entry writes struct fuse_entry_out.
func (a *answer) entry(e *Entry) {
	a.u64(e.Node, 1, uint64(e.NameValid), uint64(e.AttrValid))
	a.u32(0, 0)
	a.attr(&e.Attr)
}

// attrOut writes struct fuse_attr_out.
func (a *answer) attrOut(t *Attr) {
	a.u64(attrValid)
	a.u32(0, 0)
	a.attr(t)
}

// attrValid is how long, in seconds, the client may keep attributes: see "Caching" in package fileshare.
const attrValid = 1

// openOut writes struct fuse_open_out.
func (a *answer) openOut(handle uint64) {
	a.u64(handle)
	a.u32(0, 0)
}

// statfs writes struct fuse_statfs_out.
func (a *answer) statfs(s *StatFS) {
	a.u64(s.Blocks, s.Free, s.Available, s.Files, s.FilesFree)
	a.u32(s.BlockSize, s.NameLength, s.BlockSize, 0, 0, 0, 0, 0, 0, 0)
}

// lock writes struct fuse_lk_out.
func (a *answer) lock(l *Lock) {
	a.u64(l.Start, l.End)
	a.u32(l.Type, l.PID)
}

// direntFixed is the size of struct fuse_dirent without the name.
const direntFixed = 24

// direntSize is what an entry takes, with its padding.
func direntSize(name string) int { return (direntFixed + len(name) + 7) &^ 7 }

// dirent writes struct fuse_dirent.
func (a *answer) dirent(e *DirEntry) {
	a.u64(e.Ino, e.Offset)
	a.u32(uint32(len(e.Name)), e.Mode>>12)
	a.bytes([]byte(e.Name))
	a.bytes(make([]byte, direntSize(e.Name)-direntFixed-len(e.Name)))
}
