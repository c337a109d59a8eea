package podsandbox

import (
	"context"
	"time"
)

const (
	// yieldTime is how long at most the pool keeps still in a stream of pods while one
	// is being made, burstTime the same while some wait for others: what is made ahead
	// then helps none of them.
	yieldTime = 500 * time.Millisecond
	burstTime = 30 * time.Second
	// streamPods within demandWindow are a stream: what is made ahead is what helps
	// them most. Of fewer the containers come first: the pool keeps still until restTime
	// after the last call that makes or starts any, for loneTime at most.
	streamPods = 3
	restTime   = 500 * time.Millisecond
	loneTime   = 3 * time.Second
)

// busy counts the calls that make pods. The pool's mutex guards it.
type busy struct {
	runs  int           // sandboxes being run
	calls int           // these, and containers being made or started
	quiet chan struct{} // closed when calls falls to 0; nil at 0
	last  time.Time     // when it last did
}

func (b *busy) begin() {
	if b.calls++; b.calls == 1 {
		b.quiet = make(chan struct{})
	}
}

func (b *busy) end(now time.Time) {
	if b.calls--; b.calls == 0 {
		close(b.quiet)
		b.quiet, b.last = nil, now
	}
}

// makes tells that a container is being made or started; the caller calls done.
func (p *pool) makes() (done func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy.begin()
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.busy.end(time.Now())
	}
}

// yield waits while pods are being made, which need the processors more.
func (p *pool) yield(ctx context.Context) {
	most, rest := p.patience(time.Now())
	enough := time.After(most)
	for {
		p.mu.Lock()
		quiet, left := p.busy.quiet, rest-time.Since(p.busy.last)
		p.mu.Unlock()
		var over <-chan time.Time
		if quiet == nil {
			if left <= 0 {
				return
			}
			over = time.After(left)
		}
		select {
		case <-quiet:
		case <-over:
		case <-enough:
			return
		case <-ctx.Done():
			return
		}
	}
}

// patience is how long the pool may keep still, and how long after the last call it does.
func (p *pool) patience(now time.Time) (most, rest time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.busy.runs > cap(p.m.making):
		return burstTime, 0
	case p.demand.recent(now) >= streamPods:
		return yieldTime, 0
	default:
		return loneTime, restTime
	}
}
