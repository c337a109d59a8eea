//go:build linux

package posix

import (
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/guest/idmap"
	"github.com/paddock-run/paddock/guest/sharechange"
)

// Config says what to serve and within which limits.
type Config struct {
	// Root is a descriptor (O_PATH will do) of the tree's root. New duplicates it.
	Root int
	// ReadOnly refuses every change with EROFS.
	ReadOnly bool
	// FDDir is the path of this process's descriptor directory, "/proc/self/fd" unless moved.
	FDDir string
	// IDs, if set, maps owners: ids of the tree are IDs' "container" ids, the client's its "host" ids.
	IDs *idmap.Range
	// Budget bounds the descriptors held; shared by every FS of the process.
	Budget *Budget
	// Journal, if not 0, is a descriptor of a file, open for appending: what an
	// earlier server of the tree has noted of the client's folders, and what this one will.
	// New duplicates it.
	Journal int
	// Under, if set, opens what is to be seen under a name of a directory where
	// something else is mounted; false: what is there. It must not block.
	Under func(dev, ino uint64, name string) (fd int, covered bool)
}

// FS is a file system for fuse.NewProtocolServer. Close it when no request is running.
type FS struct {
	fuse.RawFileSystem
	fdDir    string
	readOnly bool
	rootFile bool
	ids      *idmap.Range // nil: as they are
	budget   *Budget
	under    func(dev, ino uint64, name string) (fd int, covered bool)
	notify   func(sharechange.Change)
	inodes   inodeTable
	handles  handleTable
	walks    walks
	closed   chan struct{}
	using    sync.RWMutex // held, for reading, by who uses inodes outside of requests
}

// CacheTime is the lifetime granted to the client. It bounds how late a host's edit is
// seen by name or attribute where it is not told (Watch); an open always sees
// the current data. Symlinks get none: kubelet swaps "..data". A variable for the
// sake of tests of what is told.
var CacheTime = time.Second

// New makes a file system of cfg.
func New(cfg Config) (*FS, error) {
	fs := &FS{
		RawFileSystem: fuse.NewDefaultRawFileSystem(),
		fdDir:         cfg.FDDir,
		readOnly:      cfg.ReadOnly,
		ids:           cfg.IDs,
		budget:        cfg.Budget,
		under:         cfg.Under,
		closed:        make(chan struct{}),
	}
	fs.notify = func(sharechange.Change) {}
	if fs.fdDir == "" {
		fs.fdDir = "/proc/self/fd"
	}
	if fs.budget == nil {
		fs.budget = NewBudget(1 << 16)
	}
	firstID, err := unusedID()
	if err != nil {
		return nil, err
	}
	fs.inodes.fs = fs
	fs.inodes.init(fs.budget, firstID, fs.openName)
	fs.handles.init(fs.budget, firstID)
	fd, err := unix.FcntlInt(uintptr(cfg.Root), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("duplicate share root: %w", err)
	}
	st, err := statFD(fd)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("stat share root: %w", err)
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
	case unix.S_IFREG:
		fs.rootFile = true
	default:
		unix.Close(fd)
		return nil, fmt.Errorf("share root is a %s: only directories and regular files can be shared", fileKind(uint32(st.Mode)))
	}
	if err := fs.inodes.setRoot(fd, st); err != nil {
		unix.Close(fd)
		return nil, err
	}
	if cfg.Journal != 0 {
		if err := fs.inodes.restore(cfg.Journal); err != nil { // not worth more than what it holds
			klog.ErrorS(err, "What the guest knew of a share's folders is lost")
		}
	}
	return fs, nil
}

// unusedID is a number above all that an earlier server gave: a client that
// still has some of that server's must not get at other files with them.
func unusedID() (uint64, error) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return 0, fmt.Errorf("read the clock: %w", err)
	}
	return fuse.FUSE_ROOT_ID + 1 + uint64(now.Nano()), nil
}

// RootIsFile tells whether the tree is a single regular file.
func (fs *FS) RootIsFile() bool { return fs.rootFile }

// Stop wakes every request that waits for a lock; they answer EINTR.
func (fs *FS) Stop() {
	select {
	case <-fs.closed:
	default:
		close(fs.closed)
	}
}

// Close frees every descriptor. Call it once, after Stop and the last request.
func (fs *FS) Close() {
	fs.using.Lock() // after Stop nobody takes it any more
	defer fs.using.Unlock()
	fs.handles.closeAll()
	fs.inodes.closeAll()
}

// String names the file system type.
func (fs *FS) String() string { return "paddock" }

// path is a path through which system calls reach fd's inode, whatever its names are.
func (fs *FS) path(fd int) string { return fs.fdDir + "/" + strconv.Itoa(fd) }

func fileKind(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFSOCK:
		return "socket"
	case unix.S_IFIFO:
		return "FIFO"
	case unix.S_IFBLK:
		return "block device"
	case unix.S_IFCHR:
		return "character device"
	case unix.S_IFLNK:
		return "symbolic link"
	}
	return fmt.Sprintf("file of mode %#o", mode)
}

// status turns a system call's error into a FUSE status.
func status(err error) fuse.Status {
	if err == nil {
		return fuse.OK
	}
	if errno, ok := err.(unix.Errno); ok {
		return fuse.Status(errno)
	}
	return fuse.EIO
}
