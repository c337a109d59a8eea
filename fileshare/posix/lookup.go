//go:build linux

package posix

import (
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/guest/sharechange"
)

// Lookup finds one name in a directory and counts the client's reference to what it names.
func (fs *FS) Lookup(_ <-chan struct{}, in *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	parent, err := fs.dir(in.NodeId)
	if err != nil {
		return status(err)
	}
	defer fs.inodes.put(parent)
	err = fs.lookup(parent, name, out)
	if err == unix.ENOENT {
		err = fs.missing(in.Pid, place{parent.id, name})
	}
	return status(err)
}

// dir pins a directory inode.
func (fs *FS) dir(id uint64) (*inode, error) {
	n, err := fs.inodes.get(id)
	if err != nil {
		return nil, err
	}
	if !n.isDir() {
		fs.inodes.put(n)
		return nil, unix.ENOTDIR
	}
	return n, nil
}

func (fs *FS) lookup(parent *inode, name string, out *fuse.EntryOut) error {
	if err := checkName(name); err != nil {
		return err
	}
	at := place{parent.id, name}
	if fd, covered := fs.covered(parent, name); covered {
		return fs.enter(fd, at, out)
	}
	var st unix.Statx_t
	if err := unix.Statx(parent.fd, name, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, statxMask, &st); err != nil {
		return err
	}
	if n := fs.inodes.known(at, &st); n != nil {
		fs.fillEntry(n, &st, out)
		fs.inodes.put(n)
		return nil
	}
	fd, err := unix.Openat(parent.fd, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return fs.enter(fd, at, out)
}

// openName opens a name in a directory as the client is to see it.
func (fs *FS) openName(dir *inode, name string) (int, error) {
	if fd, covered := fs.covered(dir, name); covered {
		return fd, nil
	}
	return unix.Openat(dir.fd, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
}

func (fs *FS) covered(dir *inode, name string) (fd int, covered bool) {
	if fs.under == nil {
		return -1, false
	}
	return fs.under(unix.Mkdev(dir.key.devMajor, dir.key.devMinor), dir.key.ino, name)
}

// enter counts a reference to the inode of an O_PATH descriptor, which it takes over.
func (fs *FS) enter(fd int, at place, out *fuse.EntryOut) error {
	st, err := statFD(fd)
	if err != nil {
		unix.Close(fd)
		return err
	}
	n, err := fs.inodes.adopt(fd, at, st)
	if fs.budget.crowded(time.Now()) {
		go fs.notify(sharechange.Change{Kind: sharechange.Crowded}) // which waits for the client to read
	}
	if err != nil {
		return err
	}
	fs.fillEntry(n, st, out)
	fs.inodes.put(n)
	return nil
}

func (fs *FS) fillEntry(n *inode, st *unix.Statx_t, out *fuse.EntryOut) {
	out.NodeId = n.id
	out.Generation = 1
	fs.fillAttr(&out.Attr, st)
	out.SetAttrTimeout(CacheTime)
	if !n.isSymlink() {
		out.SetEntryTimeout(CacheTime)
	}
}

// Relookup counts a reference to an inode that the client has already.
func (fs *FS) Relookup(node uint64, out *fuse.EntryOut) fuse.Status {
	n, err := fs.inodes.get(node)
	if err != nil {
		return status(err)
	}
	defer fs.inodes.put(n)
	st, err := statFD(n.fd)
	if err != nil {
		return status(err)
	}
	fs.inodes.refer(n)
	fs.fillEntry(n, st, out)
	return fuse.OK
}

// Forget takes references back.
func (fs *FS) Forget(node, count uint64) { fs.inodes.forget(node, count) }

// Readlink hands back a symlink's text, unread.
func (fs *FS) Readlink(_ <-chan struct{}, in *fuse.InHeader) ([]byte, fuse.Status) {
	n, err := fs.inodes.get(in.NodeId)
	if err != nil {
		return nil, status(err)
	}
	defer fs.inodes.put(n)
	if !n.isSymlink() {
		return nil, fuse.EINVAL
	}
	buf := make([]byte, unix.PathMax)
	size, err := unix.Readlinkat(n.fd, "", buf)
	if err != nil {
		return nil, status(err)
	}
	fs.walks.follow(in.Pid, fs.inodes.placeOf(n), buf[:size])
	return buf[:size], fuse.OK
}
