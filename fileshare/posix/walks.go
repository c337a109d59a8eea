//go:build linux

package posix

import (
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// walkTime is how long ago a symlink may have been read on the way to a name that is
// missing: a path is resolved in milliseconds, on a busy machine in more.
const walkTime = 2 * time.Second

// walks knows of each of the client's threads which symlink it read last. A path
// through a link is several requests; if the host points the link elsewhere in their
// midst and removes what it led to, as kubelet does with "..data", the path was there
// all the time, and yet a name of it is missing. ESTALE has the client's kernel
// resolve the path once more from its beginning, without its caches.
type walks struct {
	mu sync.Mutex
	// by is indexed by thread, modulo its length: who comes later counts.
	by [64]walk
	// lost are names that the host took away, the last at next-1.
	lost [64]place
	next int
}

// walk is what a thread did last.
type walk struct {
	thread uint32
	read   time.Time
	link   place // of dir 0: it was replaced already
	text   uint64
	// missing is the name that was called stale last, and left how many more times it will be.
	missing place
	left    int
}

var textSeed = maphash.MakeSeed()

// of needs mu.
func (w *walks) of(thread uint32) *walk { return &w.by[thread%uint32(len(w.by))] }

// follow notes that a thread read a link, and what.
func (w *walks) follow(thread uint32, link place, text []byte) {
	if thread == 0 { // of a namespace whose threads the client has no numbers for
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	*w.of(thread) = walk{thread: thread, read: time.Now(), link: link, text: maphash.Bytes(textSeed, text)}
}

// PathEnded implements session.FileSystem.
func (fs *FS) PathEnded(thread uint32) { fs.walks.end(thread) }

// end notes that a thread is on no way any more.
func (w *walks) end(thread uint32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if last := w.of(thread); last.thread == thread {
		*last = walk{}
	}
}

// lose notes that the host took a name away.
func (w *walks) lose(at place) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lost[w.next] = at
	w.next = (w.next + 1) % len(w.lost)
}

// last is the walk of a thread, if it is under way.
func (w *walks) last(thread uint32) (walk, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	last := *w.of(thread)
	return last, last.thread == thread && time.Since(last.read) < walkTime
}

// stale tells whether a name is to be called stale: in all requests of the kernel's
// first attempt to resolve a path, which are two if it knew the name, for then it asks
// for it by itself. A second attempt that comes there without the link hears the truth.
func (w *walks) stale(thread uint32, at place, known bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	last := w.of(thread)
	if last.thread != thread {
		return false
	}
	if last.missing != at {
		last.missing, last.left = at, 1
		if known || slices.Contains(w.lost[:], at) {
			last.left = 2
		}
	}
	if last.left == 0 {
		*last = walk{} // it was not the link's fault
		return false
	}
	last.left--
	return true
}

// missing is what to answer to a lookup of a name that is not there.
func (fs *FS) missing(thread uint32, at place) error {
	last, ok := fs.walks.last(thread)
	if ok && !fs.reads(last.link, last.text) && fs.walks.stale(thread, at, fs.inodes.placed(at)) {
		return unix.ESTALE
	}
	return unix.ENOENT
}

// reads tells whether what is at a place is a link with that text.
func (fs *FS) reads(link place, text uint64) bool {
	dir, err := fs.dir(link.dir)
	if err != nil {
		return false
	}
	defer fs.inodes.put(dir)
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(dir.fd, link.name, buf)
	return err == nil && maphash.Bytes(textSeed, buf[:n]) == text
}
