package imageservice

import (
	"context"
	"fmt"
	"sync"

	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/errdefs"
	"github.com/google/uuid"
)

const (
	pullPrefix = "pull/"
	labelPull  = "paddock.run/pull"
)

// pullLeases knows the leases of pulls under way.
type pullLeases struct {
	mu     sync.Mutex
	active map[string]bool
}

func (p *pullLeases) set(id string, active bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !active {
		delete(p.active, id)
		return
	}
	if p.active == nil {
		p.active = map[string]bool{}
	}
	p.active[id] = true
}

func (p *pullLeases) isActive(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.active[id]
}

// beginPull leases what a pull fetches: until it succeeds or, so that a retry
// can go on, its retention ends. finish must be called when the pull has ended.
func (s *Store) beginPull(ctx context.Context, key string) (leased context.Context, finish func(), err error) {
	id := fmt.Sprintf("%s%s/%s", pullPrefix, key, uuid.NewString()) // not the time: clocks of some hosts tick too slowly
	s.pullLeases.set(id, true)
	finish = func() { s.pullLeases.set(id, false) }
	_, err = s.leases.Create(ctx, leases.WithID(id), leases.WithLabel(labelPull, key), leases.WithExpiration(s.cfg.Retention))
	if err != nil {
		finish()
		return nil, nil, fmt.Errorf("leasing the blobs of a pull: %w", classify(err))
	}
	return leases.WithLease(ctx, id), finish, nil
}

// dropPullLeases drops the leases of pulls of key that have ended.
func (s *Store) dropPullLeases(ctx context.Context, key string) error {
	list, err := s.leases.List(ctx, fmt.Sprintf("labels.%q==%s", labelPull, key))
	if err != nil {
		return fmt.Errorf("listing leases: %w", err)
	}
	for _, l := range list {
		if s.pullLeases.isActive(l.ID) {
			continue
		}
		if err := s.leases.Delete(ctx, l); err != nil && !errdefs.IsNotFound(err) {
			return fmt.Errorf("dropping lease %s: %w", l.ID, classify(err))
		}
	}
	return nil
}
