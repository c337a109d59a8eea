//go:build linux

package posix

import (
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// Unlink removes a name.
func (fs *FS) Unlink(_ <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	return fs.unlink(in, name, 0)
}

// Rmdir removes an empty directory.
func (fs *FS) Rmdir(_ <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	return fs.unlink(in, name, unix.AT_REMOVEDIR)
}

func (fs *FS) unlink(in *fuse.InHeader, name string, flags int) fuse.Status {
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
	if err := fs.mayMove(parent, name); err != nil {
		return status(err)
	}
	err = unix.Unlinkat(parent.fd, name, flags)
	if err == nil {
		fs.inodes.removed(place{parent.id, name})
	}
	return status(err)
}

// Rename moves a name, with renameat2's flags.
func (fs *FS) Rename(_ <-chan struct{}, in *fuse.RenameIn, oldName, newName string) fuse.Status {
	if fs.readOnly {
		return fuse.EROFS
	}
	flags := uint(in.Flags)
	if in.Opcode == opRename {
		flags = 0
	}
	if flags&^(unix.RENAME_NOREPLACE|unix.RENAME_EXCHANGE|unix.RENAME_WHITEOUT) != 0 {
		return fuse.EINVAL
	}
	for _, name := range []string{oldName, newName} {
		if err := checkName(name); err != nil {
			return status(err)
		}
	}
	from, err := fs.dir(in.NodeId)
	if err != nil {
		return status(err)
	}
	defer fs.inodes.put(from)
	to, err := fs.dir(in.Newdir)
	if err != nil {
		return status(err)
	}
	defer fs.inodes.put(to)
	if err := fs.mayMove(from, oldName); err != nil {
		return status(err)
	}
	if err := fs.mayMove(to, newName); err != nil {
		return status(err)
	}
	err = unix.Renameat2(from.fd, oldName, to.fd, newName, flags)
	if err == nil {
		fs.inodes.moved(place{from.id, oldName}, place{to.id, newName}, flags&unix.RENAME_EXCHANGE != 0)
	}
	return status(err)
}

// opRename is the opcode of a rename without flags, whose message ends before them.
const opRename = 12
