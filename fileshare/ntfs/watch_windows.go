package ntfs

import (
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/windows"
	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/guest/sharechange"
)

// watch hears of what is changed below a root, by anybody. It is the heap's: Windows writes to
// its fields while nobody calls it.
type watch struct {
	notify   func(sharechange.Change)
	dir      windows.Handle
	ready    windows.Handle // an event: buf has changes
	quit     windows.Handle // an event
	done     chan struct{}
	overlap  windows.Overlapped
	buf      [64 << 10]byte
	overflow bool // that changes were lost has been said

	mu sync.Mutex
	// what follows is guarded by mu
	own map[mark]time.Time // what the client itself changes, and until when it counts as its own
}

// mark is a name in a directory, or a file itself, by ids.
type mark struct {
	file uint64
	name string
}

// How long what the client did may be told by Windows, which does not say who did it: of names, and of
// data and attributes. Of a file's size Windows may tell when its cache is written.
const (
	ownFor      = 2 * time.Second
	ownWriteFor = 10 * time.Second
)

const watched = windows.FILE_NOTIFY_CHANGE_FILE_NAME | windows.FILE_NOTIFY_CHANGE_DIR_NAME | windows.FILE_NOTIFY_CHANGE_ATTRIBUTES |
	windows.FILE_NOTIFY_CHANGE_SIZE | windows.FILE_NOTIFY_CHANGE_LAST_WRITE

// Watch has the client told, by notify, what others change in the directories that it
// knows, until Stop. Call it once, before the first request. A share that is a file is not watched.
func (fs *FS) Watch(notify func(sharechange.Change)) error {
	if fs.rootIsFile {
		return nil
	}
	w := &watch{notify: notify, done: make(chan struct{}), own: map[mark]time.Time{}}
	var err error
	if w.quit, err = windows.CreateEvent(nil, 1, 0, nil); err != nil {
		return fmt.Errorf("watch a share: %w", err)
	}
	if w.ready, err = windows.CreateEvent(nil, 1, 0, nil); err == nil {
		w.dir, err = openAt(fs.root, nil, opening{access: windows.FILE_LIST_DIRECTORY, disposition: windows.FILE_OPEN, options: windows.FILE_DIRECTORY_FILE, overlapped: true})
		if err == nil {
			err = w.ask()
		}
	}
	if err != nil {
		w.close()
		return fmt.Errorf("watch a share: %w", err)
	}
	fs.watch = w
	go fs.follow(w)
	return nil
}

func (w *watch) close() {
	for _, h := range []windows.Handle{w.dir, w.ready, w.quit} {
		if h != 0 {
			windows.CloseHandle(h)
		}
	}
}

// ask has Windows write the next changes to buf.
func (w *watch) ask() error {
	w.overlap = windows.Overlapped{HEvent: w.ready}
	return windows.ReadDirectoryChanges(w.dir, &w.buf[0], uint32(len(w.buf)), true, watched, nil, &w.overlap, 0)
}

// follow tells of changes until Stop.
func (fs *FS) follow(w *watch) {
	defer close(w.done)
	defer w.close()
	for {
		event, err := windows.WaitForMultipleObjects([]windows.Handle{w.quit, w.ready}, false, windows.INFINITE)
		var n uint32
		if err != nil || event == windows.WAIT_OBJECT_0 {
			_ = windows.CancelIoEx(w.dir, &w.overlap)
			_ = windows.GetOverlappedResult(w.dir, &w.overlap, &n, true) // buf is ours again
			return
		}
		if err = windows.GetOverlappedResult(w.dir, &w.overlap, &n, false); err == nil {
			changes := parseChanges(w.buf[:min(int(n), len(w.buf))])
			if n == 0 && !w.overflow {
				w.overflow = true
				klog.InfoS("The host changes files faster than can be told: some changes are seen within a second, without inotify events")
			}
			err = w.ask()
			fs.tellAll(w, changes)
		}
		if err != nil {
			// As when the root itself is deleted.
			klog.InfoS("Changes of a share are not watched any more: they are seen within a second, without inotify events", "err", err)
			return
		}
	}
}
