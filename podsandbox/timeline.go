package podsandbox

import (
	"slices"
	"sync"
	"time"
)

// timeline records timed steps, also of parallel work.
type timeline struct {
	mu    sync.Mutex
	steps []Step
}

// step runs f and records how long it took.
func (t *timeline) step(name string, f func() error) error {
	start := time.Now()
	err := f()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.steps = append(t.steps, Step{Name: name, Start: start, Duration: time.Since(start)})
	return err
}

// all returns the steps in the order they began.
func (t *timeline) all() []Step {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := slices.Clone(t.steps)
	slices.SortFunc(out, func(a, b Step) int { return a.Start.Compare(b.Start) })
	return out
}
