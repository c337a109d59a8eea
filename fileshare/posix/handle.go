//go:build linux

package posix

import (
	"sync"

	"golang.org/x/sys/unix"
)

// handle is an open file or directory of the client's.
type handle struct {
	fd    int
	inode *inode // pinned as long as the handle lives
	// uses is guarded by the table's mu: 1 while the client has the handle
	// open, and 1 for every request running on it.
	uses int
	dir  *dirStream // directories only
}

// handleTable holds the client's open files.
type handleTable struct {
	budget  *Budget
	firstID uint64
	mu      sync.Mutex
	// what follows is guarded by mu
	byID   map[uint64]*handle
	nextID uint64
}

func (t *handleTable) init(b *Budget, firstID uint64) {
	t.budget = b
	t.byID = map[uint64]*handle{}
	t.firstID, t.nextID = firstID, firstID
}

// add makes a handle of an open descriptor, which it takes over; so it does with the pin on n.
// The caller has taken the descriptor from the budget.
func (t *handleTable) add(fd int, n *inode, dir *dirStream) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	id := t.nextID
	t.nextID++
	t.byID[id] = &handle{fd: fd, inode: n, uses: 1, dir: dir}
	return id
}

// handle finds an open file of inode node and pins it until putHandle. ESTALE: it
// was opened at an earlier server, which has crashed.
func (fs *FS) handle(id, node uint64) (*handle, error) {
	fs.handles.mu.Lock()
	defer fs.handles.mu.Unlock()
	h := fs.handles.byID[id]
	if h == nil && id != 0 && id < fs.handles.firstID {
		return nil, unix.ESTALE
	}
	if h == nil || h.inode.id != node {
		return nil, unix.EBADF
	}
	h.uses++
	return h, nil
}

func (fs *FS) putHandle(h *handle) {
	fs.handles.mu.Lock()
	h.uses--
	last := h.uses == 0
	fs.handles.mu.Unlock()
	if last {
		unix.Close(h.fd)
		fs.budget.give()
		fs.inodes.put(h.inode)
	}
}

// release ends the client's hold on a handle.
func (fs *FS) release(id uint64) {
	fs.handles.mu.Lock()
	h := fs.handles.byID[id]
	delete(fs.handles.byID, id)
	fs.handles.mu.Unlock()
	if h == nil {
		return
	}
	fs.putHandle(h)
	h.inode.locks.wake()
}

func (t *handleTable) closeAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, h := range t.byID {
		unix.Close(h.fd)
		t.budget.give()
	}
	t.byID = map[uint64]*handle{}
}
