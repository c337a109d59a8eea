package ntfs

import (
	"time"

	"golang.org/x/sys/windows"

	"github.com/paddock-run/paddock/fileshare/wire"
	"github.com/paddock-run/paddock/guest/sharechange"
)

// mine notes that the client changes names, or with no name the file itself; what it
// returns is to be called when that is done.
func (fs *FS) mine(places ...place) (done func()) {
	w := fs.watch
	if w == nil {
		return func() {}
	}
	note := func() {
		now := time.Now()
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.own) > 1<<14 {
			for m, until := range w.own {
				if now.After(until) {
					delete(w.own, m)
				}
			}
		}
		for _, p := range places {
			until := now.Add(ownFor)
			if p.name == "" {
				until = now.Add(ownWriteFor)
			}
			w.own[mark{p.dir.file, p.name}] = until
		}
	}
	note()
	return note
}

// isMine tells whether a change may be the client's own.
func (fs *FS) isMine(at place) bool {
	fs.mu.Lock()
	n := fs.byPlace[at]
	var file uint64
	writes := false
	if n != nil {
		file = n.file
		for _, h := range n.opens {
			writes = writes || h.access&windows.FILE_WRITE_DATA != 0
		}
	}
	fs.mu.Unlock()
	now := time.Now()
	fs.watch.mu.Lock()
	defer fs.watch.mu.Unlock()
	return writes || now.Before(fs.watch.own[mark{at.dir.file, at.name}]) || n != nil && now.Before(fs.watch.own[mark{file, ""}])
}

// tellAll tells of changes whose directory the client knows, and that are not its own.
func (fs *FS) tellAll(w *watch, all []change) {
	var old *place
	for _, c := range all {
		at, ok := fs.known(c.path)
		switch {
		case c.action == windows.FILE_ACTION_RENAMED_OLD_NAME:
			if old = nil; ok {
				old = &at
			}
			continue
		case c.action == windows.FILE_ACTION_RENAMED_NEW_NAME && ok && old != nil:
			if !fs.isMine(*old) && !fs.isMine(at) {
				fs.tellMove(w, *old, at)
			}
		case c.action == windows.FILE_ACTION_RENAMED_NEW_NAME && old != nil:
			fs.tell(w, *old, sharechange.Delete)
		case !ok:
		case c.action == windows.FILE_ACTION_ADDED || c.action == windows.FILE_ACTION_RENAMED_NEW_NAME:
			fs.tell(w, at, sharechange.Create)
		case c.action == windows.FILE_ACTION_REMOVED:
			fs.tell(w, at, sharechange.Delete)
		case c.action == windows.FILE_ACTION_MODIFIED:
			fs.tell(w, at, sharechange.Modify)
		}
		old = nil
	}
}

// known is the place of a path, if the client knows the directory.
func (fs *FS) known(path []string) (place, bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	dir := fs.nodes[wire.RootID]
	for _, name := range path[:len(path)-1] {
		if dir = fs.byPlace[place{dir, name}]; dir == nil || dir.kind != typeDir {
			return place{}, false
		}
	}
	return place{dir, path[len(path)-1]}, true
}

// tell tells what has happened to a name. Windows says that a file was written to when
// it is closed, or later; so a change of its data is told as both.
func (fs *FS) tell(w *watch, at place, kind sharechange.Kind) {
	if fs.isMine(at) {
		return
	}
	c, exists := fs.describe(at)
	isDir := c.Mode&typeMask == typeDir
	switch c.Kind = kind; {
	case kind == sharechange.Delete:
		if exists { // another has the name by now
			c.Node, c.Ino = 0, 0
		}
		c.Gone = true
		w.notify(c)
		fs.forgetPlace(at)
		return
	case kind == sharechange.Modify && (isDir || !exists): // of a directory's list, which is told by its names
		return
	}
	c.Gone = !exists
	w.notify(c)
	if kind == sharechange.Modify {
		c.Kind = sharechange.CloseWrite
		w.notify(c)
	}
}

// describe tells what a name is now; of one that is gone, what the client knows by it.
func (fs *FS) describe(at place) (c sharechange.Change, exists bool) {
	c = sharechange.Change{Dir: at.dir.id, DirIno: at.dir.file, Name: at.name, Mode: typeRegular}
	st, err := fs.statAt(at)
	exists = err == nil
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n := fs.byPlace[at]
	if exists {
		c.Mode, c.Ino = st.Mode, st.FileID
		if n = fs.byFile[st.FileID]; n != nil && n.kind != st.Mode&typeMask {
			n = nil
		}
	}
	if n != nil {
		c.Node, c.Ino = n.id, n.file
		if !exists {
			c.Mode = n.kind
		}
	}
	return c, exists
}

// statAt looks at a name in a directory.
func (fs *FS) statAt(at place) (Stat, error) {
	name, err := EncodeName(at.name)
	if err != nil {
		return Stat{}, err
	}
	fs.tree.RLock()
	defer fs.tree.RUnlock()
	_, d, _, err := fs.dir(at.dir.id, 0)
	if err != nil {
		return Stat{}, err
	}
	defer windows.CloseHandle(d)
	h, err := openAt(d, name, opening{disposition: windows.FILE_OPEN})
	if err != nil {
		return Stat{}, err
	}
	defer windows.CloseHandle(h)
	return fs.stat(h)
}

func (fs *FS) forgetPlace(at place) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if n := fs.byPlace[at]; n != nil {
		fs.dropPlace(n, at)
	}
}

// tellMove tells of a name that has become another, both in directories that the client knows.
func (fs *FS) tellMove(w *watch, from, to place) {
	moved, _ := fs.describe(to)
	c := sharechange.Change{
		Kind: sharechange.Rename, Mode: moved.Mode, Dir: from.dir.id, DirIno: from.dir.file, Name: from.name, Node: moved.Node, Ino: moved.Ino,
		NewDir: to.dir.id, NewDirIno: to.dir.file, NewName: to.name,
	}
	fs.mu.Lock()
	if replaced := fs.byPlace[to]; replaced != nil && replaced.id != moved.Node {
		c.Replaced, c.ReplacedMode = replaced.id, replaced.kind
	}
	if n := fs.byPlace[from]; n != nil {
		fs.dropPlace(n, from)
		if n.id == moved.Node {
			fs.setPlace(n, to)
		}
	}
	fs.mu.Unlock()
	w.notify(c)
}
