package volumes

import (
	"fmt"
	"slices"
	"sync"
)

// acked are the things that a server has acknowledged, by number.
type acked struct {
	mu    sync.Mutex
	known map[int]bool
}

func (a *acked) add(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.known == nil {
		a.known = map[int]bool{}
	}
	a.known[n] = true
}

func (a *acked) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.known)
}

// missing is an error if one of them is not among those found.
func (a *acked) missing(found map[int]bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var lost []int
	for n := range a.known {
		if !found[n] {
			lost = append(lost, n)
		}
	}
	if len(lost) == 0 {
		return nil
	}
	slices.Sort(lost)
	return fmt.Errorf("%d of %d that were acknowledged are lost: %v", len(lost), len(a.known), lost[:min(len(lost), 20)])
}
