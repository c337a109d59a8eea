package ntfs

import (
	"slices"

	"golang.org/x/sys/windows"
)

// handle is a file or directory that the guest has open.
type handle struct {
	h      windows.Handle
	node   *node
	access uint32
	dir    *dirScan // of a directory
	// what follows is guarded by FS.mu
	uses int // requests at work with it, and one until it is released
}

// addHandle takes over an open file, which is on the budget.
func (fs *FS) addHandle(h *handle) uint64 {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.lastHandle++
	h.uses = 1
	fs.handles[fs.lastHandle] = h
	if h.dir == nil {
		h.node.opens = append(h.node.opens, h)
	}
	return fs.lastHandle
}

// handle finds a handle of a node, for putHandle to give back.
func (fs *FS) handle(id, node uint64) (*handle, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	h := fs.handles[id]
	if h == nil || h.node.id != node {
		return nil, ESTALE
	}
	h.uses++
	return h, nil
}

// anyOpen finds one of a node's with these rights, for putHandle to give back; nil if there is none.
func (fs *FS) anyOpen(n *node, access uint32) *handle {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, h := range n.opens {
		if access&^h.access == 0 {
			h.uses++
			return h
		}
	}
	return nil
}

func (fs *FS) putHandle(h *handle) {
	fs.mu.Lock()
	h.uses--
	last := h.uses == 0
	fs.mu.Unlock()
	if last {
		windows.CloseHandle(h.h)
		fs.budget.handles.Add(-1)
	}
}

// release ends the guest's hold on a handle, and on the file's locks if it was the last.
func (fs *FS) release(id uint64, flockOwner *uint64) {
	fs.mu.Lock()
	h := fs.handles[id]
	if h == nil {
		fs.mu.Unlock()
		return
	}
	delete(fs.handles, id)
	n := h.node
	n.opens = slices.DeleteFunc(n.opens, func(o *handle) bool { return o == h })
	closed := h.dir == nil && len(n.opens) == 0
	fs.mu.Unlock()
	if h.access&windows.FILE_WRITE_DATA != 0 {
		defer fs.mine(place{dir: n})() // NTFS tells of a file's writes when it is closed
	}
	if flockOwner != nil {
		fs.flocks.Drop(n.file, *flockOwner)
	}
	if closed {
		fs.locks.Clear(n.file)
		fs.flocks.Clear(n.file)
	}
	fs.putHandle(h)
}

// Release implements wire.FileSystem.
func (fs *FS) Release(id uint64, flockOwner *uint64) { fs.release(id, flockOwner) }

// ReleaseDir implements wire.FileSystem.
func (fs *FS) ReleaseDir(id uint64) { fs.release(id, nil) }
