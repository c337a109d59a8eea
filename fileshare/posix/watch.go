//go:build linux

package posix

import (
	"container/list"
	"encoding/binary"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"
)

const (
	// maxWatched bounds the folders of one process that are watched; each keeps its descriptor.
	maxWatched = maxCached / 2
	// watchPause lets changes gather, so that the kernel merges those of one file: it
	// bounds the notices of a file that is written without end to 100 a second.
	watchPause = 10 * time.Millisecond
)

// What is watched of a folder and of a share's root that is a file.
const (
	fileChanges = unix.FAN_MODIFY | unix.FAN_ATTRIB | unix.FAN_CLOSE_WRITE
	dirChanges  = fileChanges | unix.FAN_CREATE | unix.FAN_DELETE | unix.FAN_ONDIR | unix.FAN_EVENT_ON_CHILD
	// moves are for kernels before 5.17, which have no FAN_RENAME.
	moves = unix.FAN_MOVED_FROM | unix.FAN_MOVED_TO
)

// Watcher notices what others than this process change in folders that clients
// know: a fanotify group, which tells events of this process by its pid. It
// needs no capability, as it watches single inodes.
type Watcher struct {
	fan *os.File
	fd  int // fan's: File.Fd would make it blocking
	pid int32

	mu sync.Mutex
	// what follows is guarded by mu
	watched map[fileHandle][]*inode // a folder may be in several shares
	order   *list.List              // of *inode: the next to look at first when there are too many
	renames uint64                  // how renames are asked for
	refused map[uint64]bool         // devices that cannot be watched
	full    bool                    // that there are too many has been said
}

// fileHandle names an inode as fanotify does.
type fileHandle struct {
	fsid   [8]byte
	handle string // with its type
}

// NewWatcher makes a watcher and starts it.
func NewWatcher() (*Watcher, error) {
	const flags = unix.FAN_CLASS_NOTIF | unix.FAN_CLOEXEC | unix.FAN_NONBLOCK | unix.FAN_REPORT_FID | unix.FAN_REPORT_DFID_NAME
	fd, err := unix.FanotifyInit(flags, unix.O_RDONLY)
	if err == unix.EMFILE {
		return nil, fmt.Errorf("fanotify_init: %w (raise the sysctl fs.fanotify.max_user_groups)", err)
	}
	if err != nil {
		return nil, fmt.Errorf("fanotify_init: %w", err)
	}
	w := &Watcher{
		fan: os.NewFile(uintptr(fd), "fanotify"), fd: fd, pid: int32(os.Getpid()), watched: map[fileHandle][]*inode{},
		order: list.New(), renames: unix.FAN_RENAME, refused: map[uint64]bool{},
	}
	go w.run()
	return w, nil
}

// Close ends the watcher. Its file systems must have been closed.
func (w *Watcher) Close() error { return w.fan.Close() }

// add watches a pinned inode, if it can be watched.
func (w *Watcher) add(n *inode) {
	fs := n.table.fs
	path := fs.path(n.fd)
	dev := unix.Mkdev(n.key.devMajor, n.key.devMinor)
	h, err := n.table.handleOf(n)
	if err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if n.watch != nil || w.refused[dev] {
		return
	}
	if err := w.mark(n, path); err != nil {
		if err == unix.ENOSPC || err == unix.ENOMEM {
			w.tooMany()
			return
		}
		w.refused[dev] = true
		klog.InfoS("Changes of the host in a file system cannot be watched: they are seen within a second, without inotify events", "err", err)
		return
	}
	n.handle = h
	n.watch = w.order.PushBack(n)
	w.watched[h] = append(w.watched[h], n)
	if w.order.Len() > maxWatched {
		w.tooMany()
		w.evict()
	}
}

// mark asks the kernel. mu is held.
func (w *Watcher) mark(n *inode, path string) error {
	if !n.isDir() {
		return unix.FanotifyMark(w.fd, unix.FAN_MARK_ADD, fileChanges, unix.AT_FDCWD, path)
	}
	err := unix.FanotifyMark(w.fd, unix.FAN_MARK_ADD, dirChanges|w.renames, unix.AT_FDCWD, path)
	if err == unix.EINVAL && w.renames != moves {
		w.renames = moves
		err = unix.FanotifyMark(w.fd, unix.FAN_MARK_ADD, dirChanges|w.renames, unix.AT_FDCWD, path)
	}
	return err
}

func (w *Watcher) tooMany() {
	if !w.full {
		w.full = true
		klog.InfoS("The pod uses more folders than can be watched: changes of the host in some are seen within a second, without inotify events", "most", maxWatched)
	}
}

// evict ends the watch of the folder that was not used for longest (the clock algorithm). mu is held.
func (w *Watcher) evict() {
	for range 2 * w.order.Len() {
		next := w.order.Front()
		n := next.Value.(*inode)
		if n.id == rootID || n.seen.Swap(false) {
			w.order.MoveToBack(next)
			continue
		}
		w.drop(n)
		return
	}
}

// remove ends an inode's watch; its descriptor is still open.
func (w *Watcher) remove(n *inode) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drop(n)
}

// drop needs mu.
func (w *Watcher) drop(n *inode) {
	if n.watch == nil {
		return
	}
	w.order.Remove(n.watch)
	n.watch = nil
	same := w.watched[n.handle]
	for i, other := range same {
		if other == n {
			same = append(same[:i:i], same[i+1:]...)
			break
		}
	}
	if len(same) > 0 {
		w.watched[n.handle] = same
		return
	}
	delete(w.watched, n.handle)
	mask := uint64(fileChanges)
	if n.isDir() {
		mask = dirChanges | w.renames
	}
	// Fails if the inode is gone; the mark has gone with it.
	_ = unix.FanotifyMark(w.fd, unix.FAN_MARK_REMOVE, mask, unix.AT_FDCWD, n.table.fs.path(n.fd))
}

// isWatched tells whether an inode is to keep its descriptor.
func (w *Watcher) isWatched(n *inode) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return n.watch != nil
}

// find lists the inodes of an event's handle.
func (w *Watcher) find(h fileHandle) []*inode {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]*inode(nil), w.watched[h]...)
}

// run reads events until the group is closed.
func (w *Watcher) run() {
	buf := make([]byte, 64<<10)
	for {
		n, err := w.fan.Read(buf)
		if err != nil {
			return
		}
		w.tell(buf[:n])
		time.Sleep(watchPause)
	}
}

// tell passes a batch of events on, in which each change of one file's data or attributes is told once.
func (w *Watcher) tell(buf []byte) {
	told := map[told]bool{}
	for len(buf) > 0 {
		e, size := parseEvent(buf)
		if size == 0 {
			klog.ErrorS(nil, "fanotify gave an event that cannot be read", "length", len(buf))
			return
		}
		buf = buf[size:]
		switch {
		case e.mask&unix.FAN_Q_OVERFLOW != 0:
			klog.InfoS("The host changes files faster than can be told: some changes are seen within a second, without inotify events")
		case e.pid != w.pid:
			w.tellEvent(&e, told)
		}
	}
}

// event is one of fanotify's.
type event struct {
	mask     uint64
	pid      int32
	dir, old entryRef // where it was; of a rename, where to and where from
	self     fileHandle
}

// entryRef is a name in a folder; without a handle there is none.
type entryRef struct {
	dir  fileHandle
	name string
}

// parseEvent reads the first event of buf, and its size; 0: it is malformed.
func parseEvent(buf []byte) (e event, size int) {
	const metadata = 24
	if len(buf) < metadata {
		return e, 0
	}
	size = int(binary.NativeEndian.Uint32(buf))
	if size < metadata || size > len(buf) || buf[4] != unix.FANOTIFY_METADATA_VERSION {
		return e, 0
	}
	e.mask = binary.NativeEndian.Uint64(buf[8:])
	e.pid = int32(binary.NativeEndian.Uint32(buf[20:]))
	for info := buf[metadata:size]; len(info) >= 4; {
		n := int(binary.NativeEndian.Uint16(info[2:]))
		if n < 4 || n > len(info) {
			return e, 0
		}
		ref := parseInfo(info[4:n])
		switch info[0] {
		case unix.FAN_EVENT_INFO_TYPE_FID:
			e.self = ref.dir
		case unix.FAN_EVENT_INFO_TYPE_DFID_NAME, unix.FAN_EVENT_INFO_TYPE_DFID, unix.FAN_EVENT_INFO_TYPE_NEW_DFID_NAME:
			e.dir = ref
		case unix.FAN_EVENT_INFO_TYPE_OLD_DFID_NAME:
			e.old = ref
		}
		info = info[n:]
	}
	return e, size
}

// parseInfo reads what follows the header of struct fanotify_event_info_fid.
func parseInfo(b []byte) (ref entryRef) {
	const fixed = 16
	if len(b) < fixed {
		return ref
	}
	copy(ref.dir.fsid[:], b)
	size := int(binary.NativeEndian.Uint32(b[8:]))
	if size > len(b)-fixed {
		return entryRef{}
	}
	ref.dir.handle = string(b[12 : fixed+size])
	name := b[fixed+size:]
	for i, c := range name {
		if c == 0 {
			name = name[:i]
			break
		}
	}
	if ref.name = string(name); ref.name == "." {
		ref.name = ""
	}
	return ref
}
