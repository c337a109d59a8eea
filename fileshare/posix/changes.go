//go:build linux

package posix

import (
	"encoding/binary"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/guest/sharechange"
)

const rootID = fuse.FUSE_ROOT_ID

// Notify sets how the client is told something: notify must not use the file
// system. Call it once, before the first request.
func (fs *FS) Notify(notify func(sharechange.Change)) { fs.notify = notify }

// Watch has the client told what others change in the folders that it knows. Call
// it once, after Notify and before the first request.
func (fs *FS) Watch(w *Watcher) error {
	fs.inodes.watcher = w
	root, err := fs.inodes.get(rootID)
	if err != nil {
		return err
	}
	defer fs.inodes.put(root)
	w.add(root)
	go fs.inodes.watchRestored()
	return nil
}

// telling runs fn, which uses inodes outside of a request, unless fs is closed.
func (fs *FS) telling(fn func()) {
	fs.using.RLock()
	defer fs.using.RUnlock()
	select {
	case <-fs.closed:
	default:
		fn()
	}
}

// handleOf names an inode as fanotify does.
func (t *inodeTable) handleOf(n *inode) (fileHandle, error) {
	t.mu.Lock()
	h := fileHandle{fsid: t.devices[unix.Mkdev(n.key.devMajor, n.key.devMinor)].fsid}
	t.mu.Unlock()
	const forIdentityOnly = 0x200 // AT_HANDLE_FID, since 6.5: also where files cannot be opened by handle
	handle, _, err := unix.NameToHandleAt(n.fd, "", unix.AT_EMPTY_PATH)
	if err == unix.EOPNOTSUPP {
		handle, _, err = unix.NameToHandleAt(n.fd, "", unix.AT_EMPTY_PATH|forIdentityOnly)
	}
	if err != nil {
		return h, err
	}
	h.handle = string(binary.NativeEndian.AppendUint32(nil, uint32(handle.Type()))) + string(handle.Bytes())
	return h, nil
}

// told is a change that need not be told twice in a batch.
type told struct {
	fs   *FS
	kind sharechange.Kind
	dir  uint64
	name string
}

// tellEvent tells the clients that know the folder.
func (w *Watcher) tellEvent(e *event, done map[told]bool) {
	if e.mask&unix.FAN_RENAME != 0 {
		w.tellRename(e)
		return
	}
	for _, dir := range w.find(e.dir.dir) {
		dir.table.fs.telling(func() { dir.table.fs.tellEntry(dir, e, done) })
	}
	for _, file := range w.find(e.self) {
		if !file.isDir() { // a share that is a file
			file.table.fs.telling(func() { file.table.fs.tellEntry(file, &event{mask: e.mask}, done) })
		}
	}
}

// tellEntry tells what has happened to a name of dir, or to dir itself.
func (fs *FS) tellEntry(dir *inode, e *event, done map[told]bool) {
	if _, err := fs.inodes.get(dir.id); err != nil {
		return
	}
	defer fs.inodes.put(dir)
	name := e.dir.name
	if name != "" && checkName(name) != nil {
		return
	}
	if _, covered := fs.coveredName(dir, name); covered {
		return // the client's own mount hides it from the host
	}
	c, exists := fs.describe(dir, name, e.mask&unix.FAN_ONDIR != 0)
	tell := func(kind sharechange.Kind) {
		once := told{fs, kind, dir.id, name}
		if kind >= sharechange.Modify && done[once] {
			return
		}
		done[once] = true
		c.Kind = kind
		fs.notify(c)
	}
	has := func(mask uint64) bool { return e.mask&mask != 0 }
	created, gone := has(unix.FAN_CREATE|unix.FAN_MOVED_TO), has(unix.FAN_DELETE|unix.FAN_MOVED_FROM)
	// The kernel merges events of one name, without their order: what is there now tells it.
	if gone && exists {
		now := c
		c.Node, c.Ino, c.Gone = 0, 0, true // what went is not what is there
		tell(sharechange.Delete)
		c = now
	}
	c.Gone = !exists
	if created {
		tell(sharechange.Create)
	}
	for _, k := range []struct {
		mask uint64
		kind sharechange.Kind
	}{{unix.FAN_ATTRIB, sharechange.Attrib}, {unix.FAN_MODIFY, sharechange.Modify}, {unix.FAN_CLOSE_WRITE, sharechange.CloseWrite}} {
		if has(k.mask) {
			tell(k.kind)
		}
	}
	if gone && !exists {
		tell(sharechange.Delete)
		fs.inodes.removed(place{dir.id, name})
		fs.walks.lose(place{dir.id, name})
	}
}

// describe tells what a name of dir is now; of one that is gone, what the client knows by it.
func (fs *FS) describe(dir *inode, name string, isDir bool) (c sharechange.Change, exists bool) {
	if dir.isDir() {
		c.Dir, c.DirIno, c.Name = dir.id, dir.key.ino, name
	}
	if name == "" {
		c.Node, c.Ino, c.Mode = dir.id, dir.key.ino, dir.kind
		return c, true
	}
	c.Mode = unix.S_IFREG
	if isDir {
		c.Mode = unix.S_IFDIR
	}
	var st unix.Statx_t
	exists = unix.Statx(dir.fd, name, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, statxMask, &st) == nil
	if exists {
		c.Mode, c.Ino = uint32(st.Mode), st.Ino
	}
	if n := fs.inodes.peek(place{dir.id, name}, exists, &st); n != nil {
		c.Node, c.Ino = n.id, n.key.ino
		if !exists {
			c.Mode = n.kind
		}
	}
	return c, exists
}

// peek finds an inode that the client knows: by what it is, or by its last name.
func (t *inodeTable) peek(at place, exists bool, st *unix.Statx_t) *inode {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.byName[at]
	if exists {
		n = t.find(t.keyOf(st))
	}
	if n == nil || n.lookups == 0 {
		return nil
	}
	return n
}

func (fs *FS) coveredName(dir *inode, name string) (fd int, covered bool) {
	if name == "" {
		return -1, false
	}
	fd, covered = fs.covered(dir, name)
	if covered {
		unix.Close(fd)
	}
	return fd, covered
}

// tellRename tells of a name that has become another. A client that knows only
// one of the two folders sees the name come or go.
func (w *Watcher) tellRename(e *event) {
	from, to := w.find(e.old.dir), w.find(e.dir.dir)
	for _, dir := range from {
		target := sameShare(to, dir)
		if target == nil {
			out := &event{mask: e.mask&unix.FAN_ONDIR | unix.FAN_MOVED_FROM, dir: e.old}
			dir.table.fs.telling(func() { dir.table.fs.tellEntry(dir, out, map[told]bool{}) })
			continue
		}
		dir.table.fs.telling(func() { dir.table.fs.tellMove(dir, target, e) })
	}
	for _, dir := range to {
		if sameShare(from, dir) == nil {
			in := &event{mask: e.mask&unix.FAN_ONDIR | unix.FAN_MOVED_TO, dir: e.dir}
			dir.table.fs.telling(func() { dir.table.fs.tellEntry(dir, in, map[told]bool{}) })
		}
	}
}

func sameShare(all []*inode, as *inode) *inode {
	for _, n := range all {
		if n.table == as.table {
			return n
		}
	}
	return nil
}

func (fs *FS) tellMove(from, to *inode, e *event) {
	for _, dir := range []*inode{from, to} {
		if _, err := fs.inodes.get(dir.id); err != nil {
			return
		}
		defer fs.inodes.put(dir)
	}
	if checkName(e.old.name) != nil || checkName(e.dir.name) != nil {
		return
	}
	isDir := e.mask&unix.FAN_ONDIR != 0
	moved, exists := fs.describe(to, e.dir.name, isDir)
	replaced := fs.inodes.peek(place{to.id, e.dir.name}, false, nil)
	if !exists { // it has moved on
		moved, _ = fs.describe(from, e.old.name, isDir)
	}
	c := sharechange.Change{
		Kind: sharechange.Rename, Mode: moved.Mode, Dir: from.id, DirIno: from.key.ino, Name: e.old.name, Node: moved.Node, Ino: moved.Ino,
		NewDir: to.id, NewDirIno: to.key.ino, NewName: e.dir.name,
	}
	if replaced != nil && replaced.id != moved.Node {
		c.Replaced, c.ReplacedMode = replaced.id, replaced.kind
	}
	fs.inodes.moved(place{from.id, e.old.name}, place{to.id, e.dir.name}, false)
	fs.notify(c)
}
