//go:build linux

package posix

import (
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// Attributes that need CAP_SYS_ADMIN (trusted.*, most of security.*) are
// refused by the host's kernel: the server does not have it.

// GetXAttr reads an extended attribute.
func (fs *FS) GetXAttr(_ <-chan struct{}, in *fuse.InHeader, name string, dest []byte) (uint32, fuse.Status) {
	n, err := fs.inodes.get(in.NodeId)
	if err != nil {
		return 0, status(err)
	}
	defer fs.inodes.put(n)
	if fs.ids != nil && hasIDs(name) {
		size, err := fs.getMapped(n, name, dest)
		return uint32(size), status(err)
	}
	size, err := unix.Getxattr(fs.path(n.fd), name, dest)
	return uint32(max(size, 0)), status(err)
}

// ListXAttr lists the names.
func (fs *FS) ListXAttr(_ <-chan struct{}, in *fuse.InHeader, dest []byte) (uint32, fuse.Status) {
	n, err := fs.inodes.get(in.NodeId)
	if err != nil {
		return 0, status(err)
	}
	defer fs.inodes.put(n)
	size, err := unix.Listxattr(fs.path(n.fd), dest)
	return uint32(max(size, 0)), status(err)
}

// SetXAttr writes one.
func (fs *FS) SetXAttr(_ <-chan struct{}, in *fuse.SetXAttrIn, name string, data []byte) fuse.Status {
	if fs.readOnly {
		return fuse.EROFS
	}
	if uint64(in.Size) > uint64(len(data)) {
		return fuse.EINVAL
	}
	n, err := fs.inodes.get(in.NodeId)
	if err != nil {
		return status(err)
	}
	defer fs.inodes.put(n)
	if err := fs.mayChange(n, unix.EPERM); err != nil {
		return status(err)
	}
	value, err := fs.valueFromClient(name, data[:in.Size])
	if err != nil {
		return status(err)
	}
	return status(unix.Setxattr(fs.path(n.fd), name, value, int(in.Flags)))
}

// RemoveXAttr removes one.
func (fs *FS) RemoveXAttr(_ <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	if fs.readOnly {
		return fuse.EROFS
	}
	n, err := fs.inodes.get(in.NodeId)
	if err != nil {
		return status(err)
	}
	defer fs.inodes.put(n)
	if err := fs.mayChange(n, unix.EPERM); err != nil {
		return status(err)
	}
	return status(unix.Removexattr(fs.path(n.fd), name))
}
