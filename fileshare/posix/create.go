//go:build linux

package posix

import (
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// make runs fn, which makes name in parent as the caller, and looks the result up.
func (fs *FS) make(in *fuse.InHeader, name string, out *fuse.EntryOut, fn func(parent *inode) error) fuse.Status {
	if fs.readOnly {
		return fuse.EROFS
	}
	if err := checkName(name); err != nil {
		return status(err)
	}
	parent, err := fs.dir(in.NodeId)
	if err != nil {
		return status(err)
	}
	defer fs.inodes.put(parent)
	if err := fs.asCaller(&in.Caller, parent, func() error { return fn(parent) }); err != nil {
		return status(err)
	}
	return status(fs.lookup(parent, name, out))
}

// creationMode applies the caller's umask, unless the directory has a default
// ACL: that replaces the umask.
func (fs *FS) creationMode(parent *inode, mode, umask uint32) uint32 {
	umask &= 0777
	if umask == 0 {
		return mode
	}
	if n, err := unix.Getxattr(fs.path(parent.fd), aclDefault, nil); err == nil && n > 0 {
		return mode
	}
	return mode &^ umask
}

// Mknod makes a file, FIFO, socket or device node.
func (fs *FS) Mknod(_ <-chan struct{}, in *fuse.MknodIn, name string, out *fuse.EntryOut) fuse.Status {
	if err := fs.mayMknod(in.Mode, in.Rdev); err != nil {
		return status(err)
	}
	return fs.make(&in.InHeader, name, out, func(parent *inode) error {
		return unix.Mknodat(parent.fd, name, fs.creationMode(parent, in.Mode, in.Umask), decodeDev(in.Rdev))
	})
}

// Mkdir makes a directory.
func (fs *FS) Mkdir(_ <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	return fs.make(&in.InHeader, name, out, func(parent *inode) error {
		return unix.Mkdirat(parent.fd, name, fs.creationMode(parent, in.Mode, in.Umask))
	})
}

// Symlink makes a symlink; its text may be anything.
func (fs *FS) Symlink(_ <-chan struct{}, in *fuse.InHeader, text, name string, out *fuse.EntryOut) fuse.Status {
	return fs.make(in, name, out, func(parent *inode) error {
		return unix.Symlinkat(text, parent.fd, name)
	})
}

// Link makes a further name of an inode.
func (fs *FS) Link(_ <-chan struct{}, in *fuse.LinkIn, name string, out *fuse.EntryOut) fuse.Status {
	if fs.readOnly {
		return fuse.EROFS
	}
	if err := checkName(name); err != nil {
		return status(err)
	}
	n, err := fs.inodes.get(in.Oldnodeid)
	if err != nil {
		return status(err)
	}
	defer fs.inodes.put(n)
	parent, err := fs.dir(in.NodeId)
	if err != nil {
		return status(err)
	}
	defer fs.inodes.put(parent)
	if err := fs.mayChange(n, unix.EOVERFLOW); err != nil {
		return status(err)
	}
	if err := fs.mayChange(parent, unix.EACCES); err != nil {
		return status(err)
	}
	if err := unix.Linkat(n.fd, "", parent.fd, name, unix.AT_EMPTY_PATH); err != nil {
		return status(err)
	}
	return status(fs.lookup(parent, name, out))
}

// Create makes and opens a file. What is there already is opened by way of
// its inode, so that nothing but a regular file can be opened by this.
func (fs *FS) Create(_ <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	if fs.readOnly {
		return fuse.EROFS
	}
	if err := checkName(name); err != nil {
		return status(err)
	}
	parent, err := fs.dir(in.NodeId)
	if err != nil {
		return status(err)
	}
	defer fs.inodes.put(parent)
	flags := openFlags(in.Flags) &^ unix.O_TRUNC
	err = fs.createOpen(in, parent, name, out, func(mode uint32) (int, error) {
		return unix.Openat(parent.fd, name, flags|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, mode)
	})
	if err != unix.EEXIST || in.Flags&unix.O_EXCL != 0 {
		return status(err)
	}
	if err := fs.lookup(parent, name, &out.EntryOut); err != nil {
		return status(err)
	}
	fh, err := fs.open(out.NodeId, in.Flags)
	if err != nil {
		fs.inodes.forget(out.NodeId, 1)
		return status(err)
	}
	out.Fh = fh
	if in.Flags&unix.O_TRUNC != 0 {
		out.Size = 0
	}
	return fuse.OK
}

// Tmpfile makes and opens a file without a name.
func (fs *FS) Tmpfile(_ <-chan struct{}, in *fuse.CreateIn, out *fuse.CreateOut) fuse.Status {
	if fs.readOnly {
		return fuse.EROFS
	}
	parent, err := fs.dir(in.NodeId)
	if err != nil {
		return status(err)
	}
	defer fs.inodes.put(parent)
	flags := openFlags(in.Flags)&^unix.O_TRUNC | unix.O_TMPFILE | int(in.Flags&unix.O_EXCL)
	return status(fs.createOpen(in, parent, "", out, func(mode uint32) (int, error) {
		return unix.Openat(parent.fd, ".", flags, mode)
	}))
}

// createOpen runs open as the caller and enters the new file, with or without a
// name, as an inode with a handle.
func (fs *FS) createOpen(in *fuse.CreateIn, parent *inode, name string, out *fuse.CreateOut, open func(mode uint32) (int, error)) error {
	if err := fs.budget.take(); err != nil {
		return err
	}
	fd := -1
	mode := fs.creationMode(parent, in.Mode&07777, in.Umask)
	err := fs.asCaller(&in.Caller, parent, func() (err error) { fd, err = open(mode); return err })
	if err != nil {
		fs.budget.give()
		return err
	}
	at := place{parent.id, name}
	if name == "" {
		at = place{}
	}
	n, err := fs.enterOpened(fd, at, &out.EntryOut)
	if err != nil {
		unix.Close(fd)
		fs.budget.give()
		return err
	}
	out.Fh = fs.handles.add(fd, n, nil)
	return nil
}

// enterOpened counts a reference to an open file's inode and pins it.
func (fs *FS) enterOpened(fd int, at place, out *fuse.EntryOut) (*inode, error) {
	path, err := unix.Open(fs.path(fd), unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := fs.enter(path, at, out); err != nil {
		return nil, err
	}
	return fs.inodes.get(out.NodeId)
}
