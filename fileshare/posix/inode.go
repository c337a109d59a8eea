//go:build linux

package posix

import (
	"sync"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// inodeKey tells inodes apart. The descriptor held keeps the inode number from
// being reused, the mount keeps a directory seen through two mounts apart.
type inodeKey struct {
	devMajor, devMinor uint32
	ino, mount         uint64
}

func keyOf(st *unix.Statx_t) inodeKey {
	return inodeKey{st.Dev_major, st.Dev_minor, st.Ino, st.Mnt_id}
}

// inode is a file the client knows.
type inode struct {
	id   uint64
	key  inodeKey
	fd   int    // O_PATH
	kind uint32 // S_IFMT bits; an inode's never change
	// lookups and uses are guarded by the table's mu: the client's references,
	// and requests running on fd. The descriptor is closed when both are 0.
	lookups uint64
	uses    int
	locks   lockSet
}

func (n *inode) isDir() bool     { return n.kind == unix.S_IFDIR }
func (n *inode) isRegular() bool { return n.kind == unix.S_IFREG }
func (n *inode) isSymlink() bool { return n.kind == unix.S_IFLNK }

// inodeTable holds the inodes the client knows.
type inodeTable struct {
	budget *Budget
	mu     sync.Mutex
	// what follows is guarded by mu
	byID   map[uint64]*inode
	byKey  map[inodeKey]*inode
	nextID uint64
}

func (t *inodeTable) init(b *Budget) {
	t.budget = b
	t.byID = map[uint64]*inode{}
	t.byKey = map[inodeKey]*inode{}
	t.nextID = fuse.FUSE_ROOT_ID + 1
}

func (t *inodeTable) setRoot(fd int, st *unix.Statx_t) error {
	if err := t.budget.take(); err != nil {
		return err
	}
	n := &inode{id: fuse.FUSE_ROOT_ID, key: keyOf(st), fd: fd, kind: uint32(st.Mode) & unix.S_IFMT, lookups: 1, uses: 1}
	t.byID[n.id], t.byKey[n.key] = n, n
	return nil
}

// get finds an inode by number and pins it until put. ESTALE: the client has no such inode.
func (t *inodeTable) get(id uint64) (*inode, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.byID[id]
	if n == nil || n.lookups == 0 {
		return nil, unix.ESTALE
	}
	n.uses++
	return n, nil
}

func (t *inodeTable) put(n *inode) {
	t.mu.Lock()
	n.uses--
	drop := t.unlinkIfIdle(n)
	t.mu.Unlock()
	if drop {
		t.free(n)
	}
}

// known counts a lookup of an inode the client has already; nil if it has not.
func (t *inodeTable) known(key inodeKey) *inode {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.byKey[key]
	if n != nil {
		n.lookups++
		n.uses++
	}
	return n
}

// adopt counts a lookup of fd's inode, taking fd over in any case. The inode is pinned until put.
func (t *inodeTable) adopt(fd int, st *unix.Statx_t) (*inode, error) {
	key := keyOf(st)
	if n := t.known(key); n != nil {
		unix.Close(fd)
		return n, nil
	}
	if err := t.budget.take(); err != nil {
		unix.Close(fd)
		return nil, err
	}
	t.mu.Lock()
	n := t.byKey[key]
	fresh := n == nil
	if fresh {
		n = &inode{id: t.nextID, key: key, fd: fd, kind: uint32(st.Mode) & unix.S_IFMT}
		t.nextID++
		t.byID[n.id], t.byKey[key] = n, n
	}
	n.lookups++
	n.uses++
	t.mu.Unlock()
	if !fresh {
		unix.Close(fd)
		t.budget.give()
	}
	return n, nil
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
	delete(t.byID, n.id)
	delete(t.byKey, n.key)
	return true
}

func (t *inodeTable) free(n *inode) {
	n.locks.closeAll(t.budget)
	unix.Close(n.fd)
	t.budget.give()
}

func (t *inodeTable) closeAll() {
	t.mu.Lock()
	all := t.byID
	t.byID, t.byKey = map[uint64]*inode{}, map[inodeKey]*inode{}
	t.mu.Unlock()
	for _, n := range all {
		t.free(n)
	}
}
