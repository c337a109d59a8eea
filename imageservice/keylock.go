package imageservice

import (
	"context"
	"sync"
)

// keyLock is a mutex per key, given up when a context ends.
type keyLock struct {
	mu    sync.Mutex
	locks map[string]*keyLockEntry
}

type keyLockEntry struct {
	token chan struct{}
	users int
}

// lock waits for the key and returns its unlock function.
func (k *keyLock) lock(ctx context.Context, key string) (func(), error) {
	k.mu.Lock()
	if k.locks == nil {
		k.locks = map[string]*keyLockEntry{}
	}
	e := k.locks[key]
	if e == nil {
		e = &keyLockEntry{token: make(chan struct{}, 1)}
		k.locks[key] = e
	}
	e.users++
	k.mu.Unlock()

	select {
	case e.token <- struct{}{}:
		return func() { <-e.token; k.release(key, e) }, nil
	case <-ctx.Done():
		k.release(key, e)
		return nil, context.Cause(ctx)
	}
}

func (k *keyLock) release(key string, e *keyLockEntry) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if e.users--; e.users == 0 {
		delete(k.locks, key)
	}
}
