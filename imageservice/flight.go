package imageservice

import (
	"context"
	"sync"
)

// flights lets callers who want the same thing share one run of the work. The
// work's context ends when the last of them has gone.
type flights struct {
	running sync.WaitGroup

	mu   sync.Mutex
	open map[string]*flight
}

type flight struct {
	done   chan struct{}
	cancel context.CancelFunc
	users  int
	image  Image
	err    error
}

// do runs work for key, or joins the run under way. It returns early, without
// the result, when ctx ends.
func (f *flights) do(ctx context.Context, key string, work func(context.Context) (Image, error)) (Image, error) {
	f.mu.Lock()
	if f.open == nil {
		f.open = map[string]*flight{}
	}
	fl := f.open[key]
	if fl == nil {
		fl = f.start(ctx, key, work)
	}
	fl.users++
	f.mu.Unlock()

	select {
	case <-fl.done:
		return fl.image, fl.err
	case <-ctx.Done():
		f.leave(key, fl)
		return Image{}, context.Cause(ctx)
	}
}

// start must be called with mu held.
func (f *flights) start(ctx context.Context, key string, work func(context.Context) (Image, error)) *flight {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	fl := &flight{done: make(chan struct{}), cancel: cancel}
	f.open[key] = fl
	f.running.Go(func() {
		defer cancel()
		fl.image, fl.err = work(ctx)
		f.forget(key, fl)
		close(fl.done)
	})
	return fl
}

// leave ends the work when nobody waits for it any more. The next caller starts anew.
func (f *flights) leave(key string, fl *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fl.users--; fl.users > 0 {
		return
	}
	fl.cancel()
	if f.open[key] == fl {
		delete(f.open, key)
	}
}

func (f *flights) forget(key string, fl *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open[key] == fl {
		delete(f.open, key)
	}
}

// wait waits for all work to end.
func (f *flights) wait() { f.running.Wait() }
