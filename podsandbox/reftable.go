package podsandbox

import (
	"context"
	"sync"
)

// refTable counts the users of attached things by key. Attaching and
// detaching one key is serialised; different keys go in parallel. The zero value is empty.
type refTable[T any] struct {
	mu      sync.Mutex
	entries map[string]*refEntry[T]
}

type refEntry[T any] struct {
	waiting  int    // users of the entry itself; guarded by the table's mu
	op       opLock // guards what follows
	refs     int
	attached bool
	value    T
}

// acquire adds a user; the first one attaches.
func (t *refTable[T]) acquire(ctx context.Context, key string, attach func(context.Context) (T, error)) (T, error) {
	e := t.hold(key)
	defer t.drop(key, e)
	var none T
	if err := e.op.lock(ctx); err != nil {
		return none, err
	}
	defer e.op.unlock()
	if !e.attached {
		value, err := attach(ctx)
		if err != nil {
			return none, err
		}
		e.value, e.attached = value, true
	}
	e.refs++
	return e.value, nil
}

// release takes a user away; with the last one it detaches. If that fails the
// thing stays attached without users, for the next one to use or release.
func (t *refTable[T]) release(ctx context.Context, key string, detach func(context.Context, T) error) error {
	e := t.hold(key)
	defer t.drop(key, e)
	if err := e.op.lock(ctx); err != nil {
		return err
	}
	defer e.op.unlock()
	if e.refs > 0 {
		e.refs--
	}
	if e.refs > 0 || !e.attached {
		return nil
	}
	if err := detach(ctx, e.value); err != nil {
		return err
	}
	e.attached = false
	return nil
}

// restore adds a user of something that an earlier process attached.
func (t *refTable[T]) restore(key string, value T) {
	e := t.hold(key)
	defer t.drop(key, e)
	e.op <- struct{}{}
	defer e.op.unlock()
	e.value, e.attached = value, true
	e.refs++
}

func (t *refTable[T]) hold(key string) *refEntry[T] {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.entries[key]
	if e == nil {
		e = &refEntry[T]{op: newOpLock()}
		if t.entries == nil {
			t.entries = map[string]*refEntry[T]{}
		}
		t.entries[key] = e
	}
	e.waiting++
	return e
}

func (t *refTable[T]) drop(key string, e *refEntry[T]) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e.waiting--
	if e.waiting == 0 && !e.attached && e.refs == 0 {
		delete(t.entries, key)
	}
}
