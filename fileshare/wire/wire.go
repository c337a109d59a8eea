// Package wire reads FUSE's requests and writes its answers for back ends that
// are not of Linux: go-fuse, which does it on Linux hosts, is built there only.
// The layouts and meanings are those of Linux' include/uapi/linux/fuse.h, version 7.38;
// numbers of errors, modes and flags are Linux', as the client is.
//
// Every request is taken as hostile: what is shorter than its kind, or has a
// name without an end, is answered with EINVAL and not looked at further.
package wire

import "fmt"

// Errno is an error as the client's kernel, Linux, numbers it.
type Errno int32

func (e Errno) Error() string { return fmt.Sprintf("Linux errno %d", int32(e)) }

// Errors that the package gives by itself.
const (
	eINTR   Errno = 4
	eIO     Errno = 5
	eINVAL  Errno = 22
	eNOSYS  Errno = 38
	maxName       = 4096 // bytes of a name or a link's text; file systems have limits of their own
)

// RootID is the number of the root's inode.
const RootID = 1

// FileSystem is a back end. Its methods may be called concurrently. An error that is, or
// wraps, an Errno is told as it is; any other as EIO. Names are as the
// client sent them: the file system must take them for one component, or refuse them.
// A node or handle may be any number; one that was not given is ESTALE.
type FileSystem interface {
	// Lookup finds a name; it, and all that return an Entry, count one reference to the entry's node.
	Lookup(parent uint64, name string) (Entry, error)
	// Relookup counts a reference to a node that the client has, and tells what Lookup would.
	Relookup(node uint64) (Entry, error)
	// Forget takes references back.
	Forget(node, count uint64)

	GetAttr(node uint64) (Attr, error)
	SetAttr(node uint64, set *SetAttr) (Attr, error)
	Readlink(node uint64) (string, error)
	StatFS(node uint64) (StatFS, error)
	// Access is asked with W_OK (2) or others; the client's kernel checks modes itself.
	Access(node uint64, mask uint32) error

	Mknod(parent uint64, name string, by Caller, mode, umask, device uint32) (Entry, error)
	Mkdir(parent uint64, name string, by Caller, mode, umask uint32) (Entry, error)
	Symlink(parent uint64, name string, by Caller, text string) (Entry, error)
	Link(node, parent uint64, name string) (Entry, error)
	Unlink(parent uint64, name string) error
	Rmdir(parent uint64, name string) error
	// Rename has flags of renameat2.
	Rename(parent uint64, name string, newParent uint64, newName string, flags uint32) error

	// Create makes and opens a file, or opens it if it is there and O_EXCL is not among the flags.
	Create(parent uint64, name string, by Caller, flags, mode, umask uint32) (Entry, uint64, error)
	Open(node uint64, flags uint32, killSetID bool) (handle uint64, err error)
	Read(node, handle, offset uint64, buf []byte) (int, error)
	// Write writes all or as much as it can.
	Write(node, handle uint64, w Write) (int, error)
	// Flush is sent for every close of a descriptor, and ends the owner's POSIX locks.
	Flush(node, handle, owner uint64) error
	Fsync(node, handle uint64, dataOnly bool) error
	Fallocate(node, handle uint64, mode uint32, offset, length uint64) error
	// Release is the last close. flockOwner, if not nil, is who may have a flock by the handle.
	Release(handle uint64, flockOwner *uint64)

	OpenDir(node uint64) (handle uint64, err error)
	// ReadDir calls add with the entries after offset, until it returns false or the directory ends.
	ReadDir(node, handle, offset uint64, add func(DirEntry) bool) error
	ReleaseDir(handle uint64)
	FsyncDir(node, handle uint64) error

	// GetLock finds a lock in the way of l; l with type Unlock if there is none.
	GetLock(node uint64, l Lock) (Lock, error)
	// SetLock sets or takes away a lock; with wait it waits until cancel is closed (EINTR).
	SetLock(cancel <-chan struct{}, node uint64, l Lock, wait bool) error

	GetXattr(node uint64, name string) ([]byte, error)
	SetXattr(node uint64, name string, value []byte, flags uint32) error
	ListXattr(node uint64) ([]string, error)
	RemoveXattr(node uint64, name string) error
}

// Caller is who makes something, as the client says.
type Caller struct{ UID, GID uint32 }

// Time is a time after 1970.
type Time struct {
	Sec  int64
	Nsec uint32
}

// Attr is what stat tells. Size is in bytes, Blocks in units of 512 bytes; Device is as the kernel's new_encode_dev makes it.
type Attr struct {
	Ino, Size, Blocks                   uint64
	Access, Modify, Change              Time
	Mode, Links, UID, GID, Device, Unit uint32
}

// Entry is a name's node, and how long what is told of it holds, in seconds.
type Entry struct {
	Node                 uint64
	Attr                 Attr
	NameValid, AttrValid uint32
}

// SetAttr is what to change; nil stays. Now is the time to use where AccessNow or ModifyNow is set: the server's.
type SetAttr struct {
	Mode, UID, GID       *uint32
	Size                 *uint64
	Handle               *uint64 // the file is open by it
	Access, Modify       *Time
	AccessNow, ModifyNow bool
	KillSetID            bool
}

// Write is a write request.
type Write struct {
	Offset uint64
	Data   []byte
	// Append: at the end that the file has now, not at Offset.
	Append    bool
	KillSetID bool
}

// StatFS is what statfs tells.
type StatFS struct {
	Blocks, Free, Available, Files, FilesFree uint64
	BlockSize, NameLength                     uint32
}

// DirEntry is an entry of a directory. Offset is where the next one begins. Only the type's bits of Mode count.
type DirEntry struct {
	Ino, Offset uint64
	Mode        uint32
	Name        string
}

// Types of locks, as in fcntl.
const (
	ReadLock  = 0
	WriteLock = 1
	Unlock    = 2
)

// Lock is a lock of the bytes Start to End, both included.
type Lock struct {
	Owner, Start, End uint64
	Type, PID         uint32
	// Flock: of flock(2), which knows nothing of fcntl's.
	Flock bool
}
