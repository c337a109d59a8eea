//go:build linux

package posix

import (
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

const statxMask = unix.STATX_BASIC_STATS | unix.STATX_MNT_ID | unix.STATX_BTIME

func statFD(fd int) (*unix.Statx_t, error) {
	var st unix.Statx_t
	err := unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, statxMask, &st)
	return &st, err
}

func (fs *FS) fillAttr(a *fuse.Attr, st *unix.Statx_t) {
	a.Ino = st.Ino
	a.Size = st.Size
	a.Blocks = st.Blocks
	a.Atime, a.Atimensec = uint64(st.Atime.Sec), st.Atime.Nsec
	a.Mtime, a.Mtimensec = uint64(st.Mtime.Sec), st.Mtime.Nsec
	a.Ctime, a.Ctimensec = uint64(st.Ctime.Sec), st.Ctime.Nsec
	a.Mode = uint32(st.Mode)
	a.Nlink = st.Nlink
	a.Uid, a.Gid = fs.toClient(st.Uid), fs.toClient(st.Gid)
	// The kernel's 32 bit device number, as its new_decode_dev reads it.
	a.Rdev = st.Rdev_minor&0xff | st.Rdev_major<<8 | (st.Rdev_minor&^0xff)<<12
	a.Blksize = st.Blksize
}

// decodeDev is the inverse for mknod: the device number a system call takes.
func decodeDev(dev uint32) int {
	major := dev >> 8 & 0xfff
	minor := dev&0xff | dev>>12&0xfff00
	return int(unix.Mkdev(major, minor))
}

// GetAttr answers stat.
func (fs *FS) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	n, err := fs.inodes.get(in.NodeId)
	if err != nil {
		return status(err)
	}
	defer fs.inodes.put(n)
	return fs.fillAttrOut(n, out)
}

func (fs *FS) fillAttrOut(n *inode, out *fuse.AttrOut) fuse.Status {
	st, err := statFD(n.fd)
	if err != nil {
		return status(err)
	}
	fs.fillAttr(&out.Attr, st)
	out.SetTimeout(CacheTime)
	return fuse.OK
}

// SetAttr answers chmod, chown, truncate and utimensat.
func (fs *FS) SetAttr(_ <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	if fs.readOnly {
		return fuse.EROFS
	}
	n, err := fs.inodes.get(in.NodeId)
	if err != nil {
		return status(err)
	}
	defer fs.inodes.put(n)
	if err := fs.mayChange(n, unix.EOVERFLOW); err != nil {
		return status(err)
	}
	if mode, ok := in.GetMode(); ok {
		if n.isSymlink() {
			return fuse.ENOTSUP
		}
		if err := unix.Chmod(fs.path(n.fd), mode); err != nil {
			return status(err)
		}
	}
	if err := fs.setOwner(n, in); err != nil {
		return status(err)
	}
	if size, ok := in.GetSize(); ok {
		if err := fs.truncate(n, in, size); err != nil {
			return status(err)
		}
	}
	if err := fs.setTimes(n, in); err != nil {
		return status(err)
	}
	return fs.fillAttrOut(n, out)
}

func (fs *FS) setOwner(n *inode, in *fuse.SetAttrIn) error {
	uid, setUID := in.GetUID()
	gid, setGID := in.GetGID()
	if !setUID && !setGID {
		return nil
	}
	owner, group := -1, -1
	if setUID {
		id, err := fs.fromClient(uid)
		if err != nil {
			return err
		}
		owner = int(id)
	}
	if setGID {
		id, err := fs.fromClient(gid)
		if err != nil {
			return err
		}
		group = int(id)
	}
	return unix.Fchownat(n.fd, "", owner, group, unix.AT_EMPTY_PATH|unix.AT_SYMLINK_NOFOLLOW)
}

func (fs *FS) truncate(n *inode, in *fuse.SetAttrIn, size uint64) error {
	if int64(size) < 0 {
		return unix.EFBIG
	}
	if !n.isRegular() {
		return unix.EINVAL
	}
	if fh, ok := in.GetFh(); ok {
		h, err := fs.handle(fh, n.id)
		if err != nil {
			return err
		}
		defer fs.putHandle(h)
		err = unix.Ftruncate(h.fd, int64(size))
		if err != nil {
			return err
		}
	} else {
		fd, err := unix.Open(fs.path(n.fd), unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if err := unix.Ftruncate(fd, int64(size)); err != nil {
			return err
		}
	}
	if in.Valid&fuse.FATTR_KILL_SUIDGID != 0 {
		return fs.killSetID(n)
	}
	return nil
}

// killSetID clears setuid, and setgid of group-executable files, as a write by
// a process without CAP_FSETID does. The server's own writes do not.
func (fs *FS) killSetID(n *inode) error {
	st, err := statFD(n.fd)
	if err != nil {
		return err
	}
	mode := uint32(st.Mode)
	clean := mode &^ unix.S_ISUID
	if mode&unix.S_IXGRP != 0 {
		clean &^= unix.S_ISGID
	}
	if clean == mode {
		return nil
	}
	return unix.Chmod(fs.path(n.fd), clean&07777)
}

func (fs *FS) setTimes(n *inode, in *fuse.SetAttrIn) error {
	if in.Valid&(fuse.FATTR_ATIME|fuse.FATTR_MTIME) == 0 {
		return nil
	}
	pick := func(set, now bool, sec uint64, nsec uint32) unix.Timespec {
		switch {
		case !set:
			return unix.Timespec{Nsec: unix.UTIME_OMIT}
		case now:
			return unix.Timespec{Nsec: unix.UTIME_NOW}
		}
		return unix.Timespec{Sec: int64(sec), Nsec: int64(nsec % 1e9)}
	}
	ts := []unix.Timespec{
		pick(in.Valid&fuse.FATTR_ATIME != 0, in.Valid&fuse.FATTR_ATIME_NOW != 0, in.Atime, in.Atimensec),
		pick(in.Valid&fuse.FATTR_MTIME != 0, in.Valid&fuse.FATTR_MTIME_NOW != 0, in.Mtime, in.Mtimensec),
	}
	return unix.UtimesNanoAt(unix.AT_FDCWD, fs.path(n.fd), ts, 0)
}

// StatFs answers statfs.
func (fs *FS) StatFs(_ <-chan struct{}, in *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	n, err := fs.inodes.get(in.NodeId)
	if err != nil {
		return status(err)
	}
	defer fs.inodes.put(n)
	var st unix.Statfs_t
	if err := unix.Fstatfs(n.fd, &st); err != nil {
		return status(err)
	}
	out.Blocks, out.Bfree, out.Bavail = st.Blocks, st.Bfree, st.Bavail
	out.Files, out.Ffree = st.Files, st.Ffree
	out.Bsize, out.NameLen, out.Frsize = uint32(st.Bsize), uint32(st.Namelen), uint32(st.Frsize)
	return fuse.OK
}

// Access is not asked of us: the client's kernel checks modes itself.
func (fs *FS) Access(_ <-chan struct{}, in *fuse.AccessIn) fuse.Status {
	if fs.readOnly && in.Mask&fuse.W_OK != 0 {
		return fuse.EROFS
	}
	return fuse.OK
}
