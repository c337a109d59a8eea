//go:build linux

package posix

import (
	"container/list"
	"encoding/binary"
	"sync"
	"sync/atomic"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// inodeKey tells inodes apart, also from one that had the same number before:
// by the time of its making, where the file system knows it. The mount keeps a
// directory seen through two mounts apart.
type inodeKey struct {
	devMajor, devMinor uint32
	ino, mount         uint64
	birth              int64 // nanoseconds; 0: not known
}

// inode is a file the client knows.
type inode struct {
	id    uint64
	key   inodeKey
	kind  uint32 // S_IFMT bits; an inode's never change
	table *inodeTable
	locks lockSet

	// handle and watch are guarded by the watcher's mu: how fanotify names the inode,
	// and its place among those watched.
	handle fileHandle
	watch  *list.Element
	// seen: it was used since the watcher last thought of ending its watch.
	seen atomic.Bool

	// cached is guarded by the budget's mu: its place there while fd is open; nil for the root.
	cached *list.Element
	// recent: it was used since the budget last thought of closing fd.
	recent atomic.Bool

	// What follows is guarded by the table's mu.

	// fd is an O_PATH descriptor, or -1. It is open while uses is not 0.
	fd int
	// parent and name are where the inode was seen last; parent is 0 if it has no name that we know.
	parent uint64
	name   string
	// lookups and uses are the client's references, and requests running on fd.
	// The inode goes when both are 0.
	lookups uint64
	uses    int
	// restored: the client has more references, from an earlier server.
	restored bool
}

func (n *inode) isDir() bool     { return n.kind == unix.S_IFDIR }
func (n *inode) isRegular() bool { return n.kind == unix.S_IFREG }
func (n *inode) isSymlink() bool { return n.kind == unix.S_IFLNK }

// inodeTable holds the inodes the client knows. Few of them have an open
// descriptor: the others are found again by their last name in their parent,
// and are then checked to be the same inode.
type inodeTable struct {
	fs      *FS
	budget  *Budget
	watcher *Watcher // nil: nobody is told of changes
	// openName opens (O_PATH) a name in a directory.
	openName func(dir *inode, name string) (int, error)

	mu sync.Mutex
	// what follows is guarded by mu
	byID    map[uint64]*inode
	byKey   map[inodeKey]*inode
	byName  map[place]*inode
	nextID  uint64
	journal journal
	devices map[uint64]device
}

// device is a file system of the tree.
type device struct {
	births bool    // its inodes' times of birth stay the same
	fsid   [8]byte // as fanotify tells it
}

// place is a name in a directory that the client knows.
type place struct {
	dir  uint64
	name string
}

func (t *inodeTable) init(b *Budget, firstID uint64, openName func(*inode, string) (int, error)) {
	t.budget = b
	t.openName = openName
	t.journal.fd = -1
	t.byID = map[uint64]*inode{}
	t.byKey = map[inodeKey]*inode{}
	t.byName = map[place]*inode{}
	t.nextID = firstID
	t.devices = map[uint64]device{}
}

func (t *inodeTable) setRoot(fd int, st *unix.Statx_t) error {
	if err := t.budget.take(); err != nil {
		return err
	}
	if err := t.budget.takeNode(); err != nil {
		return err
	}
	t.learnDevice(fd, st)
	n := &inode{id: fuse.FUSE_ROOT_ID, key: t.keyOf(st), fd: fd, kind: uint32(st.Mode) & unix.S_IFMT, table: t, lookups: 1, uses: 1}
	t.byID[n.id], t.byKey[n.key] = n, n
	return nil
}

// keyOf needs mu.
func (t *inodeTable) keyOf(st *unix.Statx_t) inodeKey {
	k := inodeKey{devMajor: st.Dev_major, devMinor: st.Dev_minor, ino: st.Ino, mount: st.Mnt_id}
	if st.Mask&unix.STATX_BTIME != 0 && t.devices[deviceOf(st)].births {
		k.birth = st.Btime.Sec*1e9 + int64(st.Btime.Nsec)
	}
	return k
}

func deviceOf(st *unix.Statx_t) uint64 { return unix.Mkdev(st.Dev_major, st.Dev_minor) }

// learnDevice looks at the file system of fd, the first time it is met.
func (t *inodeTable) learnDevice(fd int, st *unix.Statx_t) {
	dev := deviceOf(st)
	t.mu.Lock()
	_, met := t.devices[dev]
	t.mu.Unlock()
	if met {
		return
	}
	var fs unix.Statfs_t
	var d device
	if unix.Fstatfs(fd, &fs) == nil {
		// A file of an overlay that is copied up has the birth of its copy.
		d.births = fs.Type != unix.OVERLAYFS_SUPER_MAGIC
		binary.NativeEndian.PutUint32(d.fsid[:], uint32(fs.Fsid.Val[0]))
		binary.NativeEndian.PutUint32(d.fsid[4:], uint32(fs.Fsid.Val[1]))
	}
	t.mu.Lock()
	t.devices[dev] = d
	t.mu.Unlock()
}

// get finds an inode by number and pins it, open, until put. ESTALE: the client has
// no such inode, or it cannot be found again; a client's kernel then looks its path up anew.
func (t *inodeTable) get(id uint64) (*inode, error) {
	t.mu.Lock()
	n := t.byID[id]
	if n == nil || n.lookups == 0 {
		t.mu.Unlock()
		return nil, unix.ESTALE
	}
	n.uses++
	open := n.fd >= 0
	t.mu.Unlock()
	if open {
		return n, nil
	}
	if err := t.reopen(n); err != nil {
		t.put(n)
		return nil, err
	}
	return n, nil
}

func (t *inodeTable) put(n *inode) {
	n.recent.Store(true)
	n.seen.Store(true)
	t.mu.Lock()
	n.uses--
	drop := t.unlinkIfIdle(n)
	t.mu.Unlock()
	if drop {
		t.free(n)
	}
}

// known counts a lookup of an inode the client has already; nil if it has not.
// Unlike get's it may have no open descriptor.
func (t *inodeTable) known(at place, st *unix.Statx_t) *inode {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.find(t.keyOf(st))
	if n != nil {
		n.lookups++
		n.uses++
		t.setPlace(n, at)
	}
	return n
}

// adopt counts a lookup of fd's inode, taking fd over in any case. The inode is pinned until put.
func (t *inodeTable) adopt(fd int, at place, st *unix.Statx_t) (*inode, error) {
	t.learnDevice(fd, st)
	if n := t.known(at, st); n != nil {
		if t.install(n, fd) {
			return n, nil
		}
		unix.Close(fd)
		return n, nil
	}
	if err := t.budget.takeNode(); err != nil {
		unix.Close(fd)
		return nil, err
	}
	if err := t.budget.take(); err != nil {
		t.budget.giveNode()
		unix.Close(fd)
		return nil, err
	}
	t.mu.Lock()
	key := t.keyOf(st)
	n := t.find(key)
	fresh := n == nil
	if fresh {
		n = &inode{id: t.nextID, key: key, fd: fd, kind: uint32(st.Mode) & unix.S_IFMT, table: t}
		t.nextID++
		t.byID[n.id], t.byKey[key] = n, n
	}
	n.lookups++
	n.uses++
	t.setPlace(n, at)
	t.mu.Unlock()
	if !fresh {
		unix.Close(fd)
		t.budget.give()
		t.budget.giveNode()
		return n, nil
	}
	t.budget.cache(n)
	if t.watcher != nil && n.isDir() {
		t.watcher.add(n)
	}
	return n, nil
}

// install gives a pinned inode a descriptor, if it has none. It is the table's then.
func (t *inodeTable) install(n *inode, fd int) bool {
	if t.budget.take() != nil {
		return false
	}
	t.mu.Lock()
	taken := n.fd < 0
	if taken {
		n.fd = fd
	}
	t.mu.Unlock()
	if !taken {
		t.budget.give()
		return false
	}
	t.budget.cache(n)
	return true
}

// setPlace notes where an inode was seen. mu is held.
func (t *inodeTable) setPlace(n *inode, at place) {
	if n.id == fuse.FUSE_ROOT_ID || at.dir == n.parent && at.name == n.name {
		return
	}
	t.dropPlace(n)
	if at.dir == 0 {
		return
	}
	if other := t.byName[at]; other != nil { // replaced
		t.dropPlace(other)
	}
	n.parent, n.name = at.dir, at.name
	t.byName[at] = n
	t.note(n)
}

// dropPlace forgets an inode's name. mu is held.
func (t *inodeTable) dropPlace(n *inode) {
	if n.parent == 0 {
		return
	}
	delete(t.byName, place{n.parent, n.name})
	n.parent, n.name = 0, ""
	if n.isDir() {
		t.journal.gone(n.id)
	}
}

// placeOf is where an inode was seen last.
func (t *inodeTable) placeOf(n *inode) place {
	t.mu.Lock()
	defer t.mu.Unlock()
	return place{n.parent, n.name}
}

// placed tells whether the client knows an inode by that name.
func (t *inodeTable) placed(at place) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.byName[at] != nil
}

// removed notes that a name is gone.
func (t *inodeTable) removed(at place) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := t.byName[at]; n != nil {
		t.dropPlace(n)
	}
}

// moved notes that a name has become another; exchanged, that the two have changed places.
func (t *inodeTable) moved(from, to place, exchanged bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a, b := t.byName[from], t.byName[to]
	if a == b { // neither is known, or both are one
		return
	}
	for _, n := range []*inode{a, b} {
		if n != nil {
			t.dropPlace(n)
		}
	}
	if a != nil {
		t.setPlace(a, to)
	}
	if b != nil && exchanged {
		t.setPlace(b, from)
	}
}

// refer counts a lookup of a pinned inode.
func (t *inodeTable) refer(n *inode) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n.lookups++
}

// forget takes n of the client's references back; more than it has is all it has.
func (t *inodeTable) forget(id, count uint64) {
	if id == fuse.FUSE_ROOT_ID {
		return
	}
	t.mu.Lock()
	n := t.byID[id]
	if n == nil {
		t.mu.Unlock()
		return
	}
	if n.restored {
		n.restored = false
		if n.lookups > 1 { // some of count are of before: rather keep it than lose it early
			n.lookups = 1
			t.mu.Unlock()
			return
		}
	}
	n.lookups -= min(count, n.lookups)
	drop := t.unlinkIfIdle(n)
	t.mu.Unlock()
	if drop {
		t.free(n)
	}
}

// unlinkIfIdle takes an unreferenced inode out of the table. mu is held.
func (t *inodeTable) unlinkIfIdle(n *inode) bool {
	if n.lookups > 0 || n.uses > 0 || t.byID[n.id] != n {
		return false
	}
	t.dropPlace(n)
	delete(t.byID, n.id)
	if t.byKey[n.key] == n {
		delete(t.byKey, n.key)
	}
	return true
}

// free gives back what an inode that left the table holds.
func (t *inodeTable) free(n *inode) {
	n.locks.closeAll(t.budget)
	if t.watcher != nil {
		t.watcher.remove(n)
	}
	t.budget.uncache(n)
	t.mu.Lock()
	fd := n.fd
	n.fd = -1
	t.mu.Unlock()
	if fd >= 0 {
		unix.Close(fd)
		t.budget.give()
	}
	t.budget.giveNode()
}

// closeIdle closes an inode's descriptor, if nobody uses it now.
func (t *inodeTable) closeIdle(n *inode) bool {
	if t.watcher != nil && t.watcher.isWatched(n) {
		return false
	}
	t.mu.Lock()
	if n.uses > 0 || n.fd < 0 {
		t.mu.Unlock()
		return false
	}
	fd := n.fd
	n.fd = -1
	t.budget.uncache(n)
	t.mu.Unlock()
	unix.Close(fd)
	t.budget.give()
	return true
}

func (t *inodeTable) closeAll() {
	t.mu.Lock()
	all := t.byID
	t.byID, t.byKey, t.byName = map[uint64]*inode{}, map[inodeKey]*inode{}, map[place]*inode{}
	t.journal.close()
	t.mu.Unlock()
	for _, n := range all {
		t.free(n)
	}
}
