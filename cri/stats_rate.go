package cri

import (
	"math"
	"sync"
	"time"
)

const (
	// minRateWindow is how far apart two samples must be for a rate to mean something.
	minRateWindow = 500 * time.Millisecond
	// maxRates bounds the cache; the ones not asked for longest go first.
	maxRates = 8192
)

// rateCache computes CPU rates from successive samples of a cumulative count.
type rateCache struct {
	mu      sync.Mutex
	samples map[string]*rateSample
}

type rateSample struct {
	at, usage uint64 // of the sample that the next rate starts from
	rate      uint64 // nanoseconds of CPU per second, of the last window
	known     bool   // rate has been computed
}

// observe takes a sample (nanoseconds of time and of CPU) and returns the rate
// over the last window, and whether there is one yet.
func (c *rateCache) observe(id string, at, usage uint64) (uint64, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.samples == nil {
		c.samples = map[string]*rateSample{}
	}
	last := c.samples[id]
	if last == nil {
		c.makeRoom()
		c.samples[id] = &rateSample{at: at, usage: usage}
		return 0, false
	}
	if at < last.at || usage < last.usage { // the clock was set, or the container began anew
		*last = rateSample{at: at, usage: usage}
		return 0, false
	}
	if window := at - last.at; window >= uint64(minRateWindow) {
		rate := float64(usage-last.usage) / float64(window) * float64(time.Second)
		*last = rateSample{at: at, usage: usage, rate: uint64(min(rate, math.MaxInt64)), known: true}
	}
	return last.rate, last.known
}

// makeRoom drops the older half when the cache is full. Callers hold mu.
func (c *rateCache) makeRoom() {
	if len(c.samples) < maxRates {
		return
	}
	var newest, oldest uint64 = 0, math.MaxUint64
	for _, s := range c.samples {
		newest, oldest = max(newest, s.at), min(oldest, s.at)
	}
	middle := oldest + (newest-oldest)/2
	for id, s := range c.samples {
		if s.at <= middle {
			delete(c.samples, id)
		}
	}
}

// forget drops a container or sandbox that is gone.
func (c *rateCache) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.samples, id)
}
