//go:build linux

package posix

import (
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// openFlags takes from a client's flags what applies to our descriptor.
// O_APPEND is applied per write (see Write), O_DIRECT by the client's kernel.
func openFlags(flags uint32) int {
	return int(flags&(unix.O_ACCMODE|unix.O_TRUNC|unix.O_SYNC|unix.O_DSYNC)) |
		unix.O_CLOEXEC | unix.O_NOCTTY | unix.O_NONBLOCK
}

// Open opens a regular file.
func (fs *FS) Open(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	fh, err := fs.open(in.NodeId, in.Flags)
	if err != nil {
		return status(err)
	}
	out.Fh = fh
	if in.Mode&fuse.OPEN_KILL_SUIDGID != 0 && !fs.readOnly {
		if h, err := fs.handle(fh, in.NodeId); err == nil {
			defer fs.putHandle(h)
			fs.killSetID(h.inode)
		}
	}
	return fuse.OK
}

func (fs *FS) open(node uint64, clientFlags uint32) (uint64, error) {
	flags := openFlags(clientFlags)
	if fs.readOnly {
		if flags&(unix.O_ACCMODE|unix.O_TRUNC) != unix.O_RDONLY {
			return 0, unix.EROFS
		}
		flags |= unix.O_NOATIME
	}
	n, err := fs.inodes.get(node)
	if err != nil {
		return 0, err
	}
	if flags&(unix.O_ACCMODE|unix.O_TRUNC) != unix.O_RDONLY {
		if err := fs.mayChange(n, unix.EACCES); err != nil {
			fs.inodes.put(n)
			return 0, err
		}
	}
	fd, err := fs.reopen(n, flags)
	if err != nil {
		fs.inodes.put(n)
		return 0, err
	}
	return fs.handles.add(fd, n, nil), nil
}

// reopen opens a regular file by its inode, on the budget.
func (fs *FS) reopen(n *inode, flags int) (int, error) {
	switch {
	case n.isDir():
		return -1, unix.EISDIR
	case n.isSymlink():
		return -1, unix.ELOOP
	case !n.isRegular():
		return -1, unix.ENXIO
	}
	if err := fs.budget.take(); err != nil {
		return -1, err
	}
	fd, err := unix.Open(fs.path(n.fd), flags, 0)
	if err != nil {
		fs.budget.give()
		return -1, err
	}
	return fd, nil
}

// Read reads into buf.
func (fs *FS) Read(_ <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	h, err := fs.handle(in.Fh, in.NodeId)
	if err != nil {
		return nil, status(err)
	}
	defer fs.putHandle(h)
	done := 0
	for done < len(buf) {
		n, err := unix.Pread(h.fd, buf[done:], int64(in.Offset)+int64(done))
		if err == unix.EINTR {
			continue
		}
		if err != nil && done == 0 {
			return nil, status(err)
		}
		if err != nil || n == 0 {
			break
		}
		done += n
	}
	return fuse.ReadResultData(buf[:done]), fuse.OK
}

// Writev writes. A write of a file opened for appending goes to the end the
// file has now, which a host process may have moved; pages of a mapping written
// back (WRITE_CACHE) stay where they are.
func (fs *FS) Writev(_ <-chan struct{}, in *fuse.WriteIn, data [][]byte) (uint32, fuse.Status) {
	if fs.readOnly {
		return 0, fuse.EROFS
	}
	h, err := fs.handle(in.Fh, in.NodeId)
	if err != nil {
		return 0, status(err)
	}
	defer fs.putHandle(h)
	flags := 0
	if in.Flags&unix.O_APPEND != 0 && in.WriteFlags&fuse.WRITE_CACHE == 0 {
		flags = unix.RWF_APPEND
	}
	var done uint32
	for _, part := range data {
		for len(part) > 0 {
			n, err := unix.Pwritev2(h.fd, [][]byte{part}, int64(in.Offset)+int64(done), flags)
			if err == unix.EINTR {
				continue
			}
			if err != nil && done == 0 {
				return 0, status(err)
			}
			if err != nil || n == 0 {
				return done, fuse.OK
			}
			part = part[n:]
			done += uint32(n)
		}
	}
	if in.WriteFlags&fuse.WRITE_KILL_SUIDGID != 0 {
		fs.killSetID(h.inode)
	}
	return done, fuse.OK
}

// Flush is sent for every close of a descriptor: it ends the owner's POSIX
// locks and tells a delayed write error.
func (fs *FS) Flush(_ <-chan struct{}, in *fuse.FlushIn) fuse.Status {
	h, err := fs.handle(in.Fh, in.NodeId)
	if err != nil {
		return status(err)
	}
	defer fs.putHandle(h)
	h.inode.locks.drop(in.LockOwner, fs.budget)
	fd, err := unix.FcntlInt(uintptr(h.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return status(err)
	}
	return status(unix.Close(fd))
}

// Release is the last close.
func (fs *FS) Release(_ <-chan struct{}, in *fuse.ReleaseIn) { fs.release(in.Fh) }

// Fsync makes a file durable.
func (fs *FS) Fsync(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	h, err := fs.handle(in.Fh, in.NodeId)
	if err != nil {
		return status(err)
	}
	defer fs.putHandle(h)
	if in.FsyncFlags&1 != 0 {
		return status(unix.Fdatasync(h.fd))
	}
	return status(unix.Fsync(h.fd))
}

// Fallocate reserves, punches or zeroes a range.
func (fs *FS) Fallocate(_ <-chan struct{}, in *fuse.FallocateIn) fuse.Status {
	if fs.readOnly {
		return fuse.EROFS
	}
	h, err := fs.handle(in.Fh, in.NodeId)
	if err != nil {
		return status(err)
	}
	defer fs.putHandle(h)
	return status(unix.Fallocate(h.fd, in.Mode, int64(in.Offset), int64(in.Length)))
}

// Lseek finds data and holes; other seeks do not leave the client.
func (fs *FS) Lseek(_ <-chan struct{}, in *fuse.LseekIn, out *fuse.LseekOut) fuse.Status {
	if in.Whence != unix.SEEK_DATA && in.Whence != unix.SEEK_HOLE {
		return fuse.EINVAL
	}
	h, err := fs.handle(in.Fh, in.NodeId)
	if err != nil {
		return status(err)
	}
	defer fs.putHandle(h)
	if h.dir != nil {
		return fuse.EINVAL
	}
	off, err := unix.Seek(h.fd, int64(in.Offset), int(in.Whence))
	if err != nil {
		return status(err)
	}
	out.Offset = uint64(off)
	return fuse.OK
}

// maxCopy bounds one copy_file_range, so that a request ends within seconds; the client asks again for the rest.
const maxCopy = 256 << 20

// CopyFileRange copies within the host.
func (fs *FS) CopyFileRange(_ <-chan struct{}, in *fuse.CopyFileRangeIn) (uint32, fuse.Status) {
	if fs.readOnly {
		return 0, fuse.EROFS
	}
	src, err := fs.handle(in.FhIn, in.NodeId)
	if err != nil {
		return 0, status(err)
	}
	defer fs.putHandle(src)
	dst, err := fs.handle(in.FhOut, in.NodeIdOut)
	if err != nil {
		return 0, status(err)
	}
	defer fs.putHandle(dst)
	offIn, offOut := int64(in.OffIn), int64(in.OffOut)
	n, err := unix.CopyFileRange(src.fd, &offIn, dst.fd, &offOut, int(min(in.Len, maxCopy)), 0)
	return uint32(max(n, 0)), status(err)
}

// Ioctl is refused as by a local file system that knows none.
func (fs *FS) Ioctl(<-chan struct{}, *fuse.IoctlIn, []byte, *fuse.IoctlOut, []byte) fuse.Status {
	return fuse.Status(unix.ENOTTY)
}
