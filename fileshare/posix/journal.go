//go:build linux

package posix

import (
	"encoding/binary"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"
)

// journal notes which folders the client knows and where they are, for the
// server that comes after a crash: working directories and watches of the
// client go on with it. Each record is a length (u16), a kind, a node, and for
// a folder its parent, device, number, birth and name.
type journal struct {
	fd   int // -1: there is none
	size int
}

const (
	folderIs   = 1
	folderGone = 2

	// maxJournal bounds a journal, in bytes: beyond it, it is written anew.
	maxJournal = 32 << 20
)

// folder is a record of one.
type folder struct {
	id, parent uint64
	key        inodeKey // without a mount: another server has others
	name       string
}

func (f folder) encode() []byte {
	b := make([]byte, 2, 64+len(f.name))
	b = append(b, folderIs)
	for _, v := range []uint64{f.id, f.parent, f.key.ino, uint64(f.key.birth)} {
		b = binary.NativeEndian.AppendUint64(b, v)
	}
	b = binary.NativeEndian.AppendUint32(b, f.key.devMajor)
	b = binary.NativeEndian.AppendUint32(b, f.key.devMinor)
	b = append(b, f.name...)
	binary.NativeEndian.PutUint16(b, uint16(len(b)))
	return b
}

const folderFixed = 3 + 4*8 + 2*4

// parseJournal gives the folders that were known at the end. What was cut off
// while it was written does not count.
func parseJournal(b []byte) map[uint64]folder {
	all := map[uint64]folder{}
	for len(b) >= 3 {
		size := int(binary.NativeEndian.Uint16(b))
		if size < 11 || size > len(b) {
			break
		}
		r := b[:size]
		b = b[size:]
		id := binary.NativeEndian.Uint64(r[3:])
		switch {
		case r[2] == folderGone:
			delete(all, id)
		case r[2] == folderIs && size > folderFixed:
			u64 := func(i int) uint64 { return binary.NativeEndian.Uint64(r[3+8*i:]) }
			f := folder{id: id, parent: u64(1), name: string(r[folderFixed:]), key: inodeKey{ino: u64(2), birth: int64(u64(3))}}
			f.key.devMajor, f.key.devMinor = binary.NativeEndian.Uint32(r[35:]), binary.NativeEndian.Uint32(r[39:])
			if checkName(f.name) == nil {
				all[id] = f
			}
		}
	}
	return all
}

// open takes over a journal, by a descriptor of its own, and tells what is in it.
func (j *journal) open(fd int) (map[uint64]folder, error) {
	own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("duplicate the journal: %w", err)
	}
	j.fd = own
	var st unix.Stat_t
	if err := unix.Fstat(own, &st); err != nil {
		return nil, fmt.Errorf("stat the journal: %w", err)
	}
	b := make([]byte, min(st.Size, 2*maxJournal))
	n, err := preadFull(own, b)
	if err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	return parseJournal(b[:n]), nil
}

func preadFull(fd int, b []byte) (n int, err error) {
	for n < len(b) {
		got, err := unix.Pread(fd, b[n:], int64(n))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return n, err
		}
		if got == 0 {
			break
		}
		n += got
	}
	return n, nil
}

// append writes a record. A journal that cannot be written is emptied: a part of
// it would be worse than none.
func (j *journal) append(record []byte) {
	if j.fd < 0 {
		return
	}
	n, err := unix.Write(j.fd, record)
	if err == nil && n < len(record) {
		err = io.ErrShortWrite
	}
	if err != nil {
		klog.ErrorS(err, "Cannot note folders: after a crash of the share server the guest loses them")
		unix.Ftruncate(j.fd, 0)
		j.close()
		return
	}
	j.size += n
}

func (j *journal) gone(id uint64) {
	b := binary.NativeEndian.AppendUint16(nil, 11)
	j.append(binary.NativeEndian.AppendUint64(append(b, folderGone), id))
}

// rewrite keeps what is known now.
func (j *journal) rewrite(all []folder) {
	if j.fd < 0 {
		return
	}
	if err := unix.Ftruncate(j.fd, 0); err != nil {
		klog.ErrorS(err, "Cannot shorten the journal of folders")
	}
	j.size = 0
	for _, f := range all {
		j.append(f.encode())
	}
}

func (j *journal) close() {
	if j.fd >= 0 {
		unix.Close(j.fd)
		j.fd = -1
	}
}

// note writes down where a folder is. mu is held.
func (t *inodeTable) note(n *inode) {
	if !n.isDir() || n.key.birth == 0 || t.journal.fd < 0 {
		return // another folder could have the number later
	}
	t.journal.append(n.folder().encode())
	if t.journal.size <= maxJournal {
		return
	}
	t.journal.rewrite(t.folders())
	if t.journal.size > maxJournal/2 {
		klog.InfoS("The guest knows more folders than can be noted: after a crash of the share server it loses them")
		t.journal.rewrite(nil)
		t.journal.close()
	}
}

func (n *inode) folder() folder {
	key := n.key
	key.mount = 0
	return folder{n.id, n.parent, key, n.name}
}

// folders are those that can be found again. mu is held.
func (t *inodeTable) folders() (all []folder) {
	for _, n := range t.byID {
		if n.isDir() && n.parent != 0 && n.key.birth != 0 {
			all = append(all, n.folder())
		}
	}
	return all
}

// restore enters the folders of an earlier server's journal. How many references the client has
// to each is not known: see forget.
func (t *inodeTable) restore(fd int) error {
	all, err := t.journal.open(fd)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range all {
		if t.budget.takeNode() != nil {
			break
		}
		n := &inode{id: f.id, key: f.key, kind: unix.S_IFDIR, table: t, fd: -1, parent: f.parent, name: f.name, lookups: 1, restored: true}
		t.byID[n.id], t.byKey[n.key], t.byName[place{n.parent, n.name}] = n, n, n
	}
	t.journal.rewrite(t.folders())
	return nil
}

// identify gives a restored folder the mount that it is in now, when it is met. mu is held.
func (t *inodeTable) identify(n *inode, key inodeKey) bool {
	if n.key.mount != 0 || !n.isDir() {
		return n.key == key
	}
	bare := key
	bare.mount = 0
	if n.key != bare || t.byKey[key] != nil {
		return false
	}
	if t.byKey[bare] == n {
		delete(t.byKey, bare)
	}
	n.key = key
	t.byKey[key] = n
	return true
}

// find is the inode of a key, a restored one as well. mu is held.
func (t *inodeTable) find(key inodeKey) *inode {
	if n := t.byKey[key]; n != nil || key.birth == 0 {
		return n
	}
	bare := key
	bare.mount = 0
	if n := t.byKey[bare]; n != nil && t.identify(n, key) {
		return n
	}
	return nil
}

// watchRestored watches the folders of an earlier server, which somebody in the client may be watching.
func (t *inodeTable) watchRestored() {
	t.mu.Lock()
	var ids []uint64
	for id, n := range t.byID {
		if n.restored {
			ids = append(ids, id)
		}
	}
	t.mu.Unlock()
	for _, id := range ids[:min(len(ids), maxWatched)] {
		t.fs.telling(func() {
			if n, err := t.get(id); err == nil {
				t.watcher.add(n)
				t.put(n)
			}
		})
	}
}
