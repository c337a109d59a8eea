//go:build linux

package posix

import (
	"container/list"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Limits of what a client may make a process keep.
const (
	// maxCached bounds the descriptors of inodes that are open only to save opening
	// them again: each keeps an inode of the host's kernel in memory.
	maxCached = 1 << 14
	// maxNodes bounds the inodes that a client knows, some 300 bytes each.
	maxNodes = 1 << 20
)

// Budget bounds what file systems of one process hold together, so that a
// client cannot use it up: descriptors, and inodes that the client knows. The
// descriptors of inodes that no request uses are closed when others are needed,
// and when there are too many of them.
type Budget struct {
	limit  int64
	cached int64 // of limit, for inodes
	nodes  int64
	used   atomic.Int64
	known  atomic.Int64
	asked  atomic.Int64 // when clients were asked to forget, in nanoseconds

	mu   sync.Mutex
	open *list.List // of *inode: those whose descriptor may be closed; the next to look at first
}

// NewBudget makes a budget of limit descriptors.
func NewBudget(limit int) *Budget {
	return &Budget{limit: int64(limit), cached: min(int64(limit)/2, maxCached), nodes: maxNodes, open: list.New()}
}

// take reserves one descriptor; ENFILE says that all are in use.
func (b *Budget) take() error {
	for b.used.Add(1) > b.limit {
		b.used.Add(-1)
		if !b.evict() {
			return unix.ENFILE
		}
	}
	return nil
}

func (b *Budget) give() { b.used.Add(-1) }

// Used is the number of descriptors held now.
func (b *Budget) Used() int { return int(b.used.Load()) }

// takeNode reserves room for an inode that the client will know.
func (b *Budget) takeNode() error {
	if b.known.Add(1) > b.nodes {
		b.known.Add(-1)
		return unix.ENFILE
	}
	return nil
}

func (b *Budget) giveNode() { b.known.Add(-1) }

// Known is the number of inodes that clients know now.
func (b *Budget) Known() int { return int(b.known.Load()) }

// crowdedPause is the least time between two requests to forget.
const crowdedPause = 5 * time.Second

// crowded tells whether clients know so many inodes that they should be asked to
// forget some, now and then.
func (b *Budget) crowded(now time.Time) bool {
	if b.known.Load() <= b.nodes/4*3 {
		return false
	}
	last := b.asked.Load()
	return now.UnixNano()-last > int64(crowdedPause) && b.asked.CompareAndSwap(last, now.UnixNano())
}

// cache enters an inode whose descriptor has just been opened. The inode is pinned.
func (b *Budget) cache(n *inode) {
	b.mu.Lock()
	n.cached = b.open.PushBack(n)
	full := int64(b.open.Len()) > b.cached
	b.mu.Unlock()
	if full {
		b.evict()
	}
}

// uncache is cache's inverse.
func (b *Budget) uncache(n *inode) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n.cached != nil {
		b.open.Remove(n.cached)
		n.cached = nil
	}
}

// evict closes the descriptor of an inode that was not used for long (the clock
// algorithm); false if every one is in use.
func (b *Budget) evict() bool {
	b.mu.Lock()
	tries := 2 * b.open.Len()
	b.mu.Unlock()
	for range tries {
		b.mu.Lock()
		next := b.open.Front()
		if next == nil {
			b.mu.Unlock()
			return false
		}
		b.open.MoveToBack(next)
		n := next.Value.(*inode)
		b.mu.Unlock()
		if !n.recent.Swap(false) && n.table.closeIdle(n) {
			return true
		}
	}
	return false
}
