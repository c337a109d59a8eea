package ntfs

import (
	"slices"

	"golang.org/x/sys/windows"

	"github.com/paddock-run/paddock/fileshare/wire"
)

// node is a file that the guest knows. No handle is held for it: one would keep the
// node's own programs from renaming the directories above. It is opened for each
// request by a name at which this server saw it, one component at a time from the
// root, and is then compared: an id on NTFS tells also files of one record, one
// after the other, apart.
type node struct {
	id, file uint64
	kind     uint32 // S_IFMT
	// what follows is guarded by FS.mu
	refs   uint64
	places []place // the newest last
	opens  []*handle
}

// place is a name in a directory.
type place struct {
	dir  *node
	name string
}

const (
	// maxPlaces bounds the names of a file that are kept, and maxDepth those on the way to it.
	maxPlaces = 8
	maxDepth  = 4096
)

// node finds what the guest has a number of.
func (fs *FS) node(id uint64) (*node, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if n := fs.nodes[id]; n != nil {
		return n, nil
	}
	return nil, ESTALE
}

// adopt counts a reference to the node of an open file, which is at a place.
func (fs *FS) adopt(st *Stat, at place) (*node, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n := fs.byFile[st.FileID]
	if n == nil || n.kind != st.Mode&typeMask {
		if err := fs.budget.takeNode(); err != nil {
			return nil, err
		}
		fs.lastNode++
		n = &node{id: fs.lastNode, file: st.FileID, kind: st.Mode & typeMask}
		fs.nodes[n.id], fs.byFile[n.file] = n, n
	}
	n.refs++
	if n.id != wire.RootID {
		fs.setPlace(n, at)
	}
	return n, nil
}

// setPlace notes where a node was seen. mu is held.
func (fs *FS) setPlace(n *node, at place) {
	fs.dropPlace(n, at)
	if most := placesOf(n); len(n.places) == most {
		fs.dropPlace(n, n.places[0])
	}
	n.places = append(n.places, at)
	fs.byPlace[at] = n
}

// placesOf is how many names of a node are kept: a directory has one.
func placesOf(n *node) int {
	if n.kind == typeDir {
		return 1
	}
	return maxPlaces
}

// dropPlace forgets one. mu is held.
func (fs *FS) dropPlace(n *node, at place) {
	n.places = slices.DeleteFunc(n.places, func(p place) bool { return p == at })
	if fs.byPlace[at] == n {
		delete(fs.byPlace, at)
	}
}

// Forget implements wire.FileSystem.
func (fs *FS) Forget(id, count uint64) {
	if id == wire.RootID {
		return
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n := fs.nodes[id]
	if n == nil {
		return
	}
	n.refs -= min(count, n.refs)
	if n.refs > 0 {
		return
	}
	for _, at := range n.places { // which stay: what is known below is found by them
		if fs.byPlace[at] == n {
			delete(fs.byPlace, at)
		}
	}
	delete(fs.nodes, id)
	if fs.byFile[n.file] == n {
		delete(fs.byFile, n.file)
	}
	fs.budget.nodes.Add(-1)
}

// paths are the ways from the root to a node, the newest first.
func (fs *FS) paths(n *node) [][]string {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	var all [][]string
	for _, p := range slices.Backward(n.places) {
		path := []string{p.name}
		for dir := p.dir; dir.id != wire.RootID; {
			if len(dir.places) == 0 || len(path) == maxDepth { // gone, or in itself
				path = nil
				break
			}
			at := dir.places[len(dir.places)-1]
			path = append(path, at.name)
			dir = at.dir
		}
		if path != nil {
			slices.Reverse(path)
			all = append(all, path)
		}
	}
	return all
}

// open opens a node and tells what it is. tree is held. ESTALE: it is not there any more.
func (fs *FS) open(n *node, how opening) (windows.Handle, Stat, error) {
	how.disposition = windows.FILE_OPEN
	if n.id == wire.RootID {
		return fs.checked(n, how, nil)
	}
	err := error(ESTALE)
	for _, path := range fs.paths(n) {
		h, st, tried := fs.checked(n, how, path)
		if tried == nil {
			return h, st, nil
		}
		if tried != ENOENT && tried != ENOTDIR {
			err = tried
		}
	}
	return 0, Stat{}, err
}

// checked opens what is at a path, which must be n.
func (fs *FS) checked(n *node, how opening, path []string) (windows.Handle, Stat, error) {
	h, err := fs.walk(path, how)
	if err != nil {
		return 0, Stat{}, err
	}
	st, err := fs.stat(h)
	if err == nil && (st.FileID != n.file || st.Mode&typeMask != n.kind) {
		err = ESTALE
	}
	if err != nil {
		windows.CloseHandle(h)
		return 0, Stat{}, err
	}
	return h, st, nil
}

// walk opens what is at a path below the root. Every directory on the way is one, and no link.
func (fs *FS) walk(path []string, how opening) (windows.Handle, error) {
	if len(path) == 0 {
		return openAt(fs.root, nil, how)
	}
	dir := fs.root
	for i, component := range path {
		name, err := EncodeName(component)
		var h windows.Handle
		if err == nil && i == len(path)-1 {
			h, err = openAt(dir, name, how)
		} else if err == nil {
			h, err = openDirAt(dir, name)
		}
		if dir != fs.root {
			windows.CloseHandle(dir)
		}
		if err != nil {
			return 0, err
		}
		dir = h
	}
	return dir, nil
}

// openDirAt opens a directory to find names in.
func openDirAt(dir windows.Handle, name []uint16) (windows.Handle, error) {
	h, err := openAt(dir, name, opening{access: windows.FILE_TRAVERSE, disposition: windows.FILE_OPEN, options: windows.FILE_DIRECTORY_FILE})
	if err != nil {
		return 0, err
	}
	if !isPlainDir(h) {
		windows.CloseHandle(h)
		return 0, ENOTDIR
	}
	return h, nil
}

// servable refuses files whose reparse point is not one of a link or a special
// file: what is behind it is another program's to tell (deduplication, clouds), who
// is not asked when a file is opened as the reparse point.
func servable(st *Stat) error {
	if st.Tag != 0 && st.Mode&typeMask != tagTypes[st.Tag] {
		return EOPNOTSUPP
	}
	return nil
}

// dir opens a directory by its number. tree is held.
func (fs *FS) dir(id uint64, access uint32) (*node, windows.Handle, Stat, error) {
	n, err := fs.node(id)
	if err != nil {
		return nil, 0, Stat{}, err
	}
	if n.kind != typeDir {
		return nil, 0, Stat{}, ENOTDIR
	}
	h, st, err := fs.open(n, opening{access: access | windows.FILE_TRAVERSE, options: windows.FILE_DIRECTORY_FILE})
	if err != nil {
		return nil, 0, Stat{}, err
	}
	if err := servable(&st); err != nil {
		windows.CloseHandle(h)
		return nil, 0, Stat{}, err
	}
	return n, h, st, nil
}

// with calls fn with an open handle of a node: one that the guest has open, which
// may have no name any more, or else one opened with access. No lock is held then.
func (fs *FS) with(id uint64, access uint32, fn func(n *node, h windows.Handle) error) error {
	n, err := fs.node(id)
	if err != nil {
		return err
	}
	if open := fs.anyOpen(n, access); open != nil {
		defer fs.putHandle(open)
		return fn(n, open.h)
	}
	fs.tree.RLock()
	h, _, err := fs.open(n, opening{access: access})
	fs.tree.RUnlock()
	if err != nil {
		return err
	}
	defer windows.CloseHandle(h)
	return fn(n, h)
}
