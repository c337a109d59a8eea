//go:build linux

package posix

import (
	"bytes"
	"encoding/binary"
	"sync"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// dirStream reads a directory for a client that asks by offset.
type dirStream struct {
	mu sync.Mutex
	// what follows is guarded by mu
	buf  []byte // entries read and not yet told
	next uint64 // the offset at which buf starts
}

// dirEntry is one entry as getdents64 tells it.
type dirEntry struct {
	fuse.DirEntry
	size int
}

// parseDirEntry reads the first entry of buf; false if there is no whole one.
func parseDirEntry(buf []byte) (dirEntry, bool) {
	const nameAt = 19
	if len(buf) < nameAt {
		return dirEntry{}, false
	}
	size := int(binary.NativeEndian.Uint16(buf[16:]))
	if size < nameAt || size > len(buf) {
		return dirEntry{}, false
	}
	name := buf[nameAt:size]
	if i := bytes.IndexByte(name, 0); i >= 0 {
		name = name[:i]
	}
	return dirEntry{
		DirEntry: fuse.DirEntry{
			Ino:  binary.NativeEndian.Uint64(buf),
			Off:  binary.NativeEndian.Uint64(buf[8:]),
			Mode: uint32(buf[18]) << 12,
			Name: string(name),
		},
		size: size,
	}, true
}

const dirBufferSize = 32 << 10

// each calls add with every entry from offset on, until add refuses one or the directory ends.
func (d *dirStream) each(fd int, offset uint64, add func(*dirEntry) bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if offset != d.next || offset == 0 {
		if _, err := unix.Seek(fd, int64(offset), unix.SEEK_SET); err != nil {
			return err
		}
		d.buf, d.next = d.buf[:0], offset
	}
	for {
		e, ok := parseDirEntry(d.buf)
		if !ok {
			if cap(d.buf) < dirBufferSize || len(d.buf) == 0 {
				d.buf = make([]byte, dirBufferSize)
			}
			n, err := unix.Getdents(fd, d.buf[:dirBufferSize])
			if err != nil || n <= 0 {
				d.buf = nil
				return err
			}
			d.buf = d.buf[:n]
			continue
		}
		if !add(&e) {
			return nil
		}
		d.buf, d.next = d.buf[e.size:], e.Off
	}
}

// OpenDir opens a directory.
func (fs *FS) OpenDir(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	n, err := fs.dir(in.NodeId)
	if err != nil {
		return status(err)
	}
	if err := fs.budget.take(); err != nil {
		fs.inodes.put(n)
		return status(err)
	}
	fd, err := unix.Openat(n.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		fs.budget.give()
		fs.inodes.put(n)
		return status(err)
	}
	out.Fh = fs.handles.add(fd, n, &dirStream{})
	return fuse.OK
}

func (fs *FS) dirHandle(id, node uint64) (*handle, error) {
	h, err := fs.handle(id, node)
	if err == nil && h.dir == nil {
		fs.putHandle(h)
		return nil, unix.ENOTDIR
	}
	return h, err
}

// ReadDir lists names.
func (fs *FS) ReadDir(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	h, err := fs.dirHandle(in.Fh, in.NodeId)
	if err != nil {
		return status(err)
	}
	defer fs.putHandle(h)
	return status(h.dir.each(h.fd, in.Offset, func(e *dirEntry) bool {
		fs.hideParent(h, e)
		return out.AddDirEntry(e.DirEntry)
	}))
}

// ReadDirPlus lists names with what a lookup of each tells.
func (fs *FS) ReadDirPlus(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	h, err := fs.dirHandle(in.Fh, in.NodeId)
	if err != nil {
		return status(err)
	}
	defer fs.putHandle(h)
	return status(h.dir.each(h.fd, in.Offset, func(e *dirEntry) bool {
		fs.hideParent(h, e)
		entry := out.AddDirLookupEntry(e.DirEntry)
		if entry == nil {
			return false
		}
		if e.Name == "." || e.Name == ".." {
			return true
		}
		// An entry gone meanwhile stays a name without a node; the client looks it up if it must.
		if err := fs.lookup(h.inode, e.Name, entry); err != nil {
			*entry = fuse.EntryOut{}
			return true
		}
		out.FixMode(entry.Mode)
		return true
	}))
}

// hideParent keeps the number of the directory above the share to ourselves.
func (fs *FS) hideParent(h *handle, e *dirEntry) {
	if e.Name == ".." && h.inode.id == fuse.FUSE_ROOT_ID {
		e.Ino = h.inode.key.ino
	}
}

// ReleaseDir closes a directory.
func (fs *FS) ReleaseDir(in *fuse.ReleaseIn) { fs.release(in.Fh) }

// FsyncDir makes a directory's entries durable.
func (fs *FS) FsyncDir(cancel <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	return fs.Fsync(cancel, in)
}
