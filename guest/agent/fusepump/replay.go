//go:build linux

package fusepump

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/guest/sharechange"
)

// maxNotices bounds the changes of a share that wait to be replayed, as Linux
// bounds an inotify queue by default; beyond it they are dropped.
const maxNotices = 16384

// notice is a change as it came.
type notice struct {
	sharechange.Change
	at time.Time
}

// replay is the operation that the replaying thread does now.
type replay struct {
	sharechange.Change
	thread uint32
}

// replayer does in the guest what was done on the host, so that its kernel tells
// whoever watches and forgets what it had cached. It answers the requests that
// come of it in place of the host: see answerReplay.
type replayer struct {
	p       *pump
	watches *watches
	clone   int    // O_PATH: the share's root, in a mount of its own that can be written to
	root    int    // the same, open; -1 until it is needed
	dev     uint64 // as fdinfo has it
	done    chan struct{}
	wake    chan struct{} // has a value when the queue is not empty

	mu sync.Mutex
	// what follows is guarded by mu
	queue   []notice
	dropped bool // that changes were dropped has been said
}

// add never waits: answers come behind notices.
func (r *replayer) add(msg []byte) {
	c, err := sharechange.Decode(msg)
	if err != nil {
		klog.ErrorS(err, "Cannot read a notice of the host", "target", r.p.target)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.queue) >= maxNotices {
		if !r.dropped {
			klog.InfoS("The host changes files faster than the guest can follow: some changes are seen within a second, without inotify events", "target", r.p.target)
		}
		r.dropped = true
		return
	}
	r.queue = append(r.queue, notice{c, time.Now()})
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// take empties the queue.
func (r *replayer) take() []notice {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.queue
	r.queue, r.dropped = nil, false
	return all
}

// run replays changes until the share is unmounted.
func (r *replayer) run() {
	defer r.p.users.Done()
	defer close(r.done)
	runtime.LockOSThread() // the thread is how its requests are known
	defer r.close()
	for {
		select {
		case <-r.p.stopped:
			return
		case <-r.wake:
			for _, n := range r.take() {
				if r.p.isStopped() {
					return
				}
				r.handle(n)
			}
		}
	}
}

func (r *replayer) close() {
	unix.Close(r.clone)
	if r.root >= 0 {
		unix.Close(r.root)
	}
}

func (r *replayer) handle(n notice) {
	if n.Kind == sharechange.Crowded {
		r.watches.dropCaches()
		return
	}
	c := &n.Change
	watched := r.watched(n)
	if c.Kind >= sharechange.Modify || !watched {
		r.p.invalidate(c)
	}
	if !watched {
		return
	}
	err := r.do(c)
	if err != nil && c.Kind < sharechange.Modify {
		r.p.invalidate(c)
	}
	// ESTALE: the kernel does not know the folder any more, so nobody watches it.
	if err != nil && !errors.Is(err, unix.ESTALE) && !errors.Is(err, unix.ENOENT) {
		klog.V(2).InfoS("Cannot replay a change of the host", "target", r.p.target, "kind", c.Kind, "name", c.Name, "err", err)
	}
}

// watched tells whether anybody in the guest would be told.
func (r *replayer) watched(n notice) bool {
	for _, ino := range []uint64{n.DirIno, n.NewDirIno, n.Ino} {
		if ino != 0 && r.watches.has(r.dev, ino, n.at) {
			return true
		}
	}
	return false
}

// do replays a change that somebody watches.
func (r *replayer) do(c *sharechange.Change) error {
	path, closePath, err := r.path(c.Dir, c.Name)
	if err != nil {
		return err
	}
	defer closePath()
	newPath := ""
	if c.Kind == sharechange.Rename {
		var closeNew func()
		if newPath, closeNew, err = r.path(c.NewDir, c.NewName); err != nil {
			return err
		}
		defer closeNew()
	}
	r.p.replay.Store(&replay{*c, uint32(unix.Gettid())})
	defer r.p.replay.Store(nil)
	omit, now := unix.Timespec{Nsec: unix.UTIME_OMIT}, unix.Timespec{Nsec: unix.UTIME_NOW}
	touch := func(atime unix.Timespec) error {
		flags := unix.AT_SYMLINK_NOFOLLOW
		if c.Name == "" {
			flags = 0 // the path is a link of /proc
		}
		return unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{atime, now}, flags)
	}
	switch c.Kind {
	case sharechange.Create:
		return create(path, c.Mode)
	case sharechange.Delete:
		if c.Mode&unix.S_IFMT == unix.S_IFDIR {
			return unix.Rmdir(path)
		}
		return unix.Unlink(path)
	case sharechange.Rename:
		return unix.Rename(path, newPath)
	case sharechange.Modify:
		return touch(omit) // the time of modification alone: IN_MODIFY
	case sharechange.Attrib:
		return touch(now) // both times: IN_ATTRIB
	case sharechange.CloseWrite:
		if c.Mode&unix.S_IFMT != unix.S_IFREG {
			return nil
		}
		defer unforked()()
		fd, err := unix.Open(path, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		return unix.Close(fd)
	}
	return nil
}

// create makes any kind of file. Only the kind counts: the kernel takes the rest from the answer.
func create(path string, mode uint32) error {
	switch mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return unix.Mkdir(path, 0o700)
	case unix.S_IFLNK:
		return unix.Symlink("x", path)
	}
	return unix.Mknod(path, mode&unix.S_IFMT|0o600, 0)
}

// path is one through which the kernel reaches a name of a folder that it knows,
// or the folder itself. ESTALE: it does not know the folder.
func (r *replayer) path(dir uint64, name string) (path string, done func(), err error) {
	const rootNode = 1
	if dir == 0 || dir == rootNode {
		return fdPath(r.clone, name), func() {}, nil
	}
	if r.root < 0 {
		if r.root, err = unix.Openat(r.clone, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
			return "", nil, err
		}
	}
	fd, err := unix.OpenByHandleAt(r.root, nodeHandle(dir), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC)
	if err != nil {
		return "", nil, err
	}
	return fdPath(fd, name), func() { unix.Close(fd) }, nil
}

func fdPath(fd int, name string) string {
	path := fmt.Sprintf("/proc/self/fd/%d", fd)
	if name != "" {
		path += "/" + name
	}
	return path
}

// nodeHandle is the file handle by which Linux' FUSE knows a node (fuse_encode_fh), of the generation that the host gives.
func nodeHandle(node uint64) unix.FileHandle {
	const fileidIno64Gen, generation = 0x81, 1
	b := make([]byte, 0, 12)
	for _, v := range []uint32{uint32(node >> 32), uint32(node), generation} {
		b = appendUint32(b, v)
	}
	return unix.NewFileHandle(fileidIno64Gen, b)
}

// startReplayer begins to replay what others change in a share.
func startReplayer(p *pump, clone int, w *watches) (*replayer, error) {
	var st unix.Statx_t
	if err := unix.Statx(clone, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, unix.STATX_TYPE, &st); err != nil {
		return nil, os.NewSyscallError("statx", err)
	}
	r := &replayer{
		p: p, watches: w, clone: clone, root: -1, done: make(chan struct{}), wake: make(chan struct{}, 1),
		dev: uint64(st.Dev_major)<<20 | uint64(st.Dev_minor),
	}
	p.users.Add(1)
	go r.run()
	return r, nil
}
