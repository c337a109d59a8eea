//go:build linux

package posix

import (
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/guest/idmap"
)

// A file system with a mapping shows and takes owners as an idmapped mount
// (mount_setattr(2)) of the tree would: what the tree holds as id 0 is the
// client's id IDs.Host. What has an owner or group outside of the mapping can be
// read and not changed, and nobody outside of it can make anything.

// toClient is an id of the tree as the client has it; "no id" for one that is
// not mapped, which the client's kernel shows as 65534 and lets nobody own.
func (fs *FS) toClient(id uint32) uint32 {
	if fs.ids == nil {
		return id
	}
	id, _ = fs.ids.ToHost(id)
	return id
}

// fromClient is a client's id as the tree has it. EOVERFLOW: it has none.
func (fs *FS) fromClient(id uint32) (uint32, error) {
	if fs.ids == nil {
		return id, nil
	}
	id, ok := fs.ids.FromHost(id)
	if !ok {
		return idmap.None, unix.EOVERFLOW
	}
	return id, nil
}

// owner is who of the tree a caller is.
func (fs *FS) owner(who *fuse.Caller) (owner fuse.Owner, err error) {
	if owner.Uid, err = fs.fromClient(who.Uid); err != nil {
		return owner, err
	}
	owner.Gid, err = fs.fromClient(who.Gid)
	return owner, err
}

// mapped tells whether both the owner and the group of a file are.
func (fs *FS) mapped(st *unix.Statx_t) bool {
	if fs.ids == nil {
		return true
	}
	_, user := fs.ids.ToHost(st.Uid)
	_, group := fs.ids.ToHost(st.Gid)
	return user && group
}

// mayChange refuses, with an errno of the caller's choice, an inode that is not mapped.
func (fs *FS) mayChange(n *inode, refusal unix.Errno) error {
	if fs.ids == nil {
		return nil
	}
	st, err := statFD(n.fd)
	if err != nil {
		return err
	}
	if !fs.mapped(st) {
		return refusal
	}
	return nil
}

// mayMove refuses to remove or rename what is not mapped. A missing name is for the caller to find.
func (fs *FS) mayMove(parent *inode, name string) error {
	if fs.ids == nil {
		return nil
	}
	if err := fs.mayChange(parent, unix.EACCES); err != nil {
		return err
	}
	var st unix.Statx_t
	err := unix.Statx(parent.fd, name, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, statxMask, &st)
	if err == nil && !fs.mapped(&st) {
		return unix.EOVERFLOW
	}
	return nil
}

// mayMknod refuses device nodes, which a user namespace's root may not make;
// 0:0, overlayfs's whiteout, is none.
func (fs *FS) mayMknod(mode, dev uint32) error {
	kind := mode & unix.S_IFMT
	whiteout := kind == unix.S_IFCHR && dev == 0
	if fs.ids != nil && (kind == unix.S_IFBLK || kind == unix.S_IFCHR) && !whiteout {
		return unix.EPERM
	}
	return nil
}
