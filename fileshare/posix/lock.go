//go:build linux

package posix

import (
	"sync"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// lockSet holds an inode's POSIX locks: one open file description for each of
// the client's lock owners, so that the host's kernel arbitrates between them
// and host processes (open file description locks).
type lockSet struct {
	mu sync.Mutex
	// what follows is guarded by mu
	owners  map[uint64]int // lock owner to descriptor
	changed chan struct{}  // closed at the next unlock; nil if no one waits
}

// Waiters poll for locks of host processes; an unlock through this file system wakes them at once.
const (
	lockPollMin = time.Millisecond
	lockPollMax = 20 * time.Millisecond
)

// waitChan is closed at the next unlock.
func (s *lockSet) waitChan() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.changed
}

func (s *lockSet) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wakeLocked()
}

func (s *lockSet) wakeLocked() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// drop ends every POSIX lock of an owner.
func (s *lockSet) drop(owner uint64, b *Budget) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fd, ok := s.owners[owner]
	if !ok {
		return
	}
	delete(s.owners, owner)
	unix.Close(fd)
	b.give()
	s.wakeLocked()
}

func (s *lockSet) closeAll(b *Budget) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, fd := range s.owners {
		unix.Close(fd)
		b.give()
	}
	s.owners = nil
	s.wakeLocked()
}

// posixLock runs one fcntl lock command for an owner.
func (fs *FS) posixLock(n *inode, owner uint64, cmd int, lk *unix.Flock_t) error {
	s := &n.locks
	s.mu.Lock()
	defer s.mu.Unlock()
	fd, ok := s.owners[owner]
	if !ok {
		if lk.Type == unix.F_UNLCK {
			return nil
		}
		var err error
		if fd, err = fs.lockFile(n); err != nil {
			return err
		}
	}
	err := unix.FcntlFlock(uintptr(fd), cmd, lk)
	if !ok && (err != nil || cmd == unix.F_OFD_GETLK) {
		unix.Close(fd)
		fs.budget.give()
		return err
	}
	if !ok {
		if s.owners == nil {
			s.owners = map[uint64]int{}
		}
		s.owners[owner] = fd
	}
	if err == nil && cmd == unix.F_OFD_SETLK {
		s.wakeLocked() // an unlock, or a write lock made a read lock
	}
	return err
}

// lockFile opens a description to hold locks, writable if it can be: write locks need that.
func (fs *FS) lockFile(n *inode) (int, error) {
	const flags = unix.O_CLOEXEC | unix.O_NONBLOCK
	if !fs.readOnly {
		fd, err := fs.reopen(n, unix.O_RDWR|flags)
		if err != unix.EACCES && err != unix.EROFS && err != unix.ETXTBSY && err != unix.EPERM {
			return fd, err
		}
	}
	return fs.reopen(n, unix.O_RDONLY|flags)
}

// flockT turns a FUSE lock range into fcntl's.
func flockT(lk *fuse.FileLock) (unix.Flock_t, error) {
	if lk.Start > lk.End || int64(lk.End) < 0 {
		return unix.Flock_t{}, unix.EINVAL
	}
	out := unix.Flock_t{Type: int16(lk.Typ), Start: int64(lk.Start)}
	if lk.End != 1<<63-1 {
		out.Len = int64(lk.End-lk.Start) + 1
	}
	return out, nil
}

// GetLk tells a lock in the way. Its holder's pid is not known to us: 0.
func (fs *FS) GetLk(_ <-chan struct{}, in *fuse.LkIn, out *fuse.LkOut) fuse.Status {
	h, err := fs.handle(in.Fh, in.NodeId)
	if err != nil {
		return status(err)
	}
	defer fs.putHandle(h)
	lk, err := flockT(&in.Lk)
	if err != nil {
		return status(err)
	}
	if err := fs.posixLock(h.inode, in.Owner, unix.F_OFD_GETLK, &lk); err != nil {
		return status(err)
	}
	out.Lk = fuse.FileLock{Typ: uint32(lk.Type)}
	if lk.Type != unix.F_UNLCK {
		out.Lk.Start, out.Lk.End = uint64(lk.Start), 1<<63-1
		if lk.Len != 0 {
			out.Lk.End = uint64(lk.Start + lk.Len - 1)
		}
	}
	return fuse.OK
}

// SetLk sets or clears a lock, or says EAGAIN.
func (fs *FS) SetLk(_ <-chan struct{}, in *fuse.LkIn) fuse.Status {
	h, err := fs.handle(in.Fh, in.NodeId)
	if err != nil {
		return status(err)
	}
	defer fs.putHandle(h)
	return status(fs.setLock(h, in))
}

func (fs *FS) setLock(h *handle, in *fuse.LkIn) error {
	if in.LkFlags&fuse.LK_FLOCK != 0 {
		return setFlock(h, in.Lk.Typ)
	}
	lk, err := flockT(&in.Lk)
	if err != nil {
		return err
	}
	return fs.posixLock(h.inode, in.Owner, unix.F_OFD_SETLK, &lk)
}

func setFlock(h *handle, typ uint32) error {
	how := map[uint32]int{unix.F_RDLCK: unix.LOCK_SH, unix.F_WRLCK: unix.LOCK_EX, unix.F_UNLCK: unix.LOCK_UN}[typ]
	if how == 0 {
		return unix.EINVAL
	}
	err := unix.Flock(h.fd, how|unix.LOCK_NB)
	if err == nil {
		h.inode.locks.wake()
	}
	return err
}

// SetLkw waits for a lock until it has it or the client interrupts. The caller bounds the waits.
func (fs *FS) SetLkw(cancel <-chan struct{}, in *fuse.LkIn) fuse.Status {
	h, err := fs.handle(in.Fh, in.NodeId)
	if err != nil {
		return status(err)
	}
	defer fs.putHandle(h)
	for pause := lockPollMin; ; pause = min(2*pause, lockPollMax) {
		changed := h.inode.locks.waitChan()
		if err := fs.setLock(h, in); err != unix.EAGAIN && err != unix.EACCES {
			return status(err)
		}
		timer := time.NewTimer(pause)
		select {
		case <-changed:
		case <-timer.C:
		case <-cancel:
			timer.Stop()
			return fuse.EINTR
		case <-fs.closed:
			timer.Stop()
			return fuse.EINTR
		}
		timer.Stop()
	}
}
