package ntfs

import (
	"encoding/binary"
	"sync"

	"golang.org/x/sys/windows"

	"github.com/paddock-run/paddock/fileshare/wire"
)

// dirScan reads a directory for a client that asks by offset: the number of entries
// told so far. Windows reads a directory only from its beginning, so another offset than
// the next means to begin again and to leave so many out.
type dirScan struct {
	mu sync.Mutex
	// what follows is guarded by mu
	buf     []byte // entries read and not yet told
	next    uint64 // the offset at which buf starts
	started bool
}

const dirBufferSize = 16 << 10

// The two first entries are the directory and its parent, which are told by us.
const ownEntries = 2

// fill has buf hold an entry; false at the directory's end.
func (d *dirScan) fill(h windows.Handle) (bool, error) {
	if len(d.buf) > 0 {
		return true, nil
	}
	b := make([]byte, dirBufferSize)
	n, err := queryDirectory(h, b, !d.started)
	d.started = true
	if err != nil || n <= 0 {
		d.buf = nil
		return false, err
	}
	d.buf = b[:n]
	return true, nil
}

// take takes the first entry out of buf. shown: it has a name for Linux, and is not "." or "..".
func (d *dirScan) take() (e wire.DirEntry, shown bool, err error) {
	const fixed = 104 // FILE_ID_BOTH_DIR_INFORMATION without its name
	if len(d.buf) < fixed {
		return e, false, EIO
	}
	b := d.buf
	u32 := func(at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
	next, size := int(u32(0)), int(u32(60))
	if size > len(b)-fixed || size%2 != 0 || next > len(b) || next != 0 && next < fixed+size {
		return e, false, EIO
	}
	if d.buf = nil; next != 0 {
		d.buf = b[next:]
	}
	units := make([]uint16, size/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(b[fixed+2*i:])
	}
	e = wire.DirEntry{Ino: binary.LittleEndian.Uint64(b[96:])}
	e.Mode = entryType(listed(e.Ino, u32(56), Tag(u32(64))))
	e.Name, shown = DecodeName(units)
	return e, shown, nil
}

// entryType is a file's type by its attributes; tag is that of a reparse point.
func entryType(attributes uint32, tag Tag) uint32 {
	if attributes&attributeReparse == 0 {
		tag = 0
	}
	return mode(attributes, tag, false, 0, 0) & typeMask
}

// each calls add with every entry from offset on, until it refuses one or the directory ends.
func (d *dirScan) each(h windows.Handle, self uint64, offset uint64, add func(wire.DirEntry) bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if offset != d.next || offset == 0 {
		d.buf, d.next, d.started = nil, 0, false
	}
	for {
		var e wire.DirEntry
		if d.next < ownEntries {
			e = wire.DirEntry{Ino: self, Mode: typeDir, Name: []string{".", ".."}[d.next]}
		} else {
			more, err := d.fill(h)
			if err != nil || !more {
				return err
			}
			before := d.buf
			var shown bool
			if e, shown, err = d.take(); err != nil {
				return err
			}
			if !shown {
				continue
			}
			if d.next >= offset && !add(at(e, d.next+1)) {
				d.buf = before
				return nil
			}
			d.next++
			continue
		}
		if d.next >= offset && !add(at(e, d.next+1)) {
			return nil
		}
		d.next++
	}
}

func at(e wire.DirEntry, offset uint64) wire.DirEntry {
	e.Offset = offset
	return e
}

// OpenDir implements wire.FileSystem.
func (fs *FS) OpenDir(id uint64) (uint64, error) {
	if err := fs.budget.takeHandle(); err != nil {
		return 0, err
	}
	fs.tree.RLock()
	defer fs.tree.RUnlock()
	n, h, _, err := fs.dir(id, windows.FILE_LIST_DIRECTORY)
	if err != nil {
		fs.budget.handles.Add(-1)
		return 0, err
	}
	return fs.addHandle(&handle{h: h, node: n, access: windows.FILE_LIST_DIRECTORY, dir: new(dirScan)}), nil
}

// ReadDir implements wire.FileSystem.
func (fs *FS) ReadDir(id, fh, offset uint64, add func(wire.DirEntry) bool) error {
	h, err := fs.handle(fh, id)
	if err != nil {
		return err
	}
	defer fs.putHandle(h)
	if h.dir == nil {
		return ENOTDIR
	}
	return h.dir.each(h.h, h.node.file, offset, add)
}

// FsyncDir implements wire.FileSystem. NTFS keeps names by its journal, in order; what is
// flushed here is the journal, where the file system lets it be by a directory's handle.
func (fs *FS) FsyncDir(id, fh uint64) error {
	h, err := fs.handle(fh, id)
	if err != nil {
		return err
	}
	defer fs.putHandle(h)
	if h.dir == nil {
		return ENOTDIR
	}
	if fs.readOnly {
		return nil
	}
	err = fs.with(id, addFile, func(_ *node, h windows.Handle) error { return flush(h) })
	if err == EOPNOTSUPP || err == EINVAL {
		return nil
	}
	return err
}
