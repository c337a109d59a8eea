package ntfs

import (
	"context"
	"slices"
	"sync"
)

// LockTable holds the POSIX locks of one share's guest. NTFS has no lock that a second
// one of the same owner changes in part; so ranges are kept here, and what
// must hold against processes of the host is locked there by ranges that do not
// change (LockFileEx). The zero value is empty.
type LockTable struct {
	mu sync.Mutex
	// what follows is guarded by mu
	files   map[uint64][]Lock // by file id, sorted by start
	count   int               // of all files' locks
	changed chan struct{}     // closed when a lock goes; nil if nobody waits
}

// Bounds of what a guest may lock; beyond them ENOLCK.
const (
	maxLocks     = 1 << 16
	maxFileLocks = 1 << 12
)

// Lock is a lock of a range of bytes, both ends included.
type Lock struct {
	Owner      uint64
	Start, End uint64
	Write      bool
}

func (l Lock) overlaps(o Lock) bool { return l.Start <= o.End && o.Start <= l.End }
func (l Lock) conflicts(o Lock) bool {
	return l.Owner != o.Owner && (l.Write || o.Write) && l.overlaps(o)
}

// Test finds a lock in the way of one (F_GETLK).
func (t *LockTable) Test(file uint64, l Lock) (Lock, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.inTheWay(file, l)
}

func (t *LockTable) inTheWay(file uint64, l Lock) (Lock, bool) {
	for _, have := range t.files[file] {
		if have.conflicts(l) {
			return have, true
		}
	}
	return Lock{}, false
}

// Set sets a lock (F_SETLK): of the owner's own it replaces what it covers. EAGAIN:
// another is in the way. ENOLCK: there are too many.
func (t *LockTable) Set(file uint64, l Lock) error {
	if l.Start > l.End {
		return EINVAL
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.set(file, l)
}

func (t *LockTable) set(file uint64, l Lock) error {
	if _, ok := t.inTheWay(file, l); ok {
		return EAGAIN
	}
	if len(t.files[file]) >= maxFileLocks || t.count >= maxLocks {
		return ENOLCK
	}
	t.cut(file, l)
	all := append(t.files[file], l)
	slices.SortFunc(all, func(a, b Lock) int {
		switch {
		case a.Start != b.Start && a.Start < b.Start:
			return -1
		case a.Start > b.Start:
			return 1
		}
		return 0
	})
	t.put(file, join(all))
	t.wake() // a write lock that became a read lock lets others in
	return nil
}

// Wait is Set that waits until nothing is in the way (F_SETLKW), or ctx ends.
func (t *LockTable) Wait(ctx context.Context, file uint64, l Lock) error {
	if l.Start > l.End {
		return EINVAL
	}
	for {
		t.mu.Lock()
		err := t.set(file, l)
		if err != EAGAIN {
			t.mu.Unlock()
			return err
		}
		if t.changed == nil {
			t.changed = make(chan struct{})
		}
		changed := t.changed
		t.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Unlock takes a range of an owner's locks away.
func (t *LockTable) Unlock(file, owner, start, end uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cut(file, Lock{Owner: owner, Start: start, End: end})
	t.wake()
}

// Drop takes all of an owner's away: it has closed the file.
func (t *LockTable) Drop(file, owner uint64) { t.Unlock(file, owner, 0, ^uint64(0)) }

// Clear takes all locks of a file away: nobody has it open.
func (t *LockTable) Clear(file uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.files[file]) > 0 {
		t.put(file, nil)
		t.wake()
	}
}

// Held lists a file's locks, by start.
func (t *LockTable) Held(file uint64) []Lock {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.files[file])
}

func (t *LockTable) wake() {
	if t.changed != nil {
		close(t.changed)
		t.changed = nil
	}
}

func (t *LockTable) put(file uint64, all []Lock) {
	if t.files == nil {
		t.files = map[uint64][]Lock{}
	}
	t.count += len(all) - len(t.files[file])
	if len(all) == 0 {
		delete(t.files, file)
		return
	}
	t.files[file] = all
}

// cut takes a range out of what the owner has, which may leave two ends of one.
func (t *LockTable) cut(file uint64, hole Lock) {
	var kept []Lock
	for _, l := range t.files[file] {
		if l.Owner != hole.Owner || !l.overlaps(hole) {
			kept = append(kept, l)
			continue
		}
		if l.Start < hole.Start {
			left := l
			left.End = hole.Start - 1
			kept = append(kept, left)
		}
		if l.End > hole.End {
			right := l
			right.Start = hole.End + 1
			kept = append(kept, right)
		}
	}
	t.put(file, kept)
}

// join makes neighbours of one owner and kind into one, so that a thousand small locks of a
// database are not a thousand entries. all is sorted.
func join(all []Lock) []Lock {
	last := map[Lock]int{} // owner and kind, to the place of the last
	out := all[:0:0]
	for _, l := range all {
		key := Lock{Owner: l.Owner, Write: l.Write}
		if i, ok := last[key]; ok && out[i].End != ^uint64(0) && out[i].End+1 == l.Start {
			out[i].End = l.End
			continue
		}
		last[key] = len(out)
		out = append(out, l)
	}
	return out
}
