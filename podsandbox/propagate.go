package podsandbox

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/klog/v2"

	guestapi "github.com/paddock-run/paddock/guest/api"
)

// Mounts that a container makes below a bidirectional mount of a host path are
// shown on the node. The guest says what is mounted, share by share; the share
// server shows it. What is shown is known to the share server and to the node's
// table of mounts, so nothing is stored here and a restart finds all of it.

const (
	// maxPropagated bounds the mounts of one sandbox that are shown on the node.
	maxPropagated = 64
	// propagatePause is the least time between two looks at a guest that keeps mounting.
	propagatePause = 100 * time.Millisecond
	// propagateTime bounds the bringing up to date after a command, which waits for it.
	propagateTime = 15 * time.Second
)

// propagation is a sandbox's part of it.
type propagation struct {
	follow *sync.Once

	op opLock // held while the node is brought up to date; guards what follows
	// failed are the errors said, by export id; full: that there are too many has been said.
	failed map[string]string
	full   bool
}

func newPropagation() propagation {
	return propagation{follow: new(sync.Once), op: newOpLock(), failed: map[string]string{}}
}

// outward are the shares whose mounts may reach the node, with their host paths:
// only what a container was given as a bidirectional mount.
func (s *sandbox) outward() map[string]string {
	out := map[string]string{}
	for _, c := range s.allContainers() {
		c.commit.Lock()
		for share, hostPath := range c.record.Outward {
			out[share] = hostPath
		}
		c.commit.Unlock()
	}
	return out
}

// followMounts keeps the node up to date while the sandbox lives, once it has reason to.
func (m *Manager) followMounts(s *sandbox) {
	if len(s.outward()) == 0 {
		return
	}
	s.propagation.follow.Do(func() {
		m.spawn(func() { s.followMounts(s.live) })
		m.spawn(func() { s.followShareServer(s.live) })
	})
}

// followShareServer shows the mounts again that went with a share server that crashed.
func (s *sandbox) followShareServer(ctx context.Context) {
	if s.share == nil {
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.vm.Exited():
			return
		case <-s.share.Restarted():
			s.afterCommand(ctx)
		}
	}
}

func (s *sandbox) followMounts(ctx context.Context) {
	known := uint64(0)
	for ctx.Err() == nil {
		answer, err := s.guestMounts(ctx, known)
		if err == nil {
			known = answer.Version
			err = s.syncMounts(ctx)
		}
		if err != nil && ctx.Err() == nil && s.vmRuns() {
			klog.ErrorS(err, "Mounts of a pod's containers do not reach the node", "sandbox", s.id)
		}
		pause := propagatePause
		if err != nil {
			pause = retryMost
		}
		select {
		case <-ctx.Done():
		case <-s.vm.Exited():
			return
		case <-time.After(pause):
		}
	}
}

func (s *sandbox) guestMounts(ctx context.Context, known uint64) (answer *guestapi.WatchMountsResponse, err error) {
	err = s.agent.retry(ctx, func(conn *agentConn) error {
		answer, err = conn.WatchMounts(ctx, &guestapi.WatchMountsRequest{Known: known})
		return fromAgent(err)
	})
	return answer, err
}

// afterCommand brings the node up to date, so that whoever ran a command in a container sees what it has mounted.
func (s *sandbox) afterCommand(ctx context.Context) {
	if len(s.outward()) == 0 || ctx.Err() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, propagateTime)
	defer cancel()
	if err := s.syncMounts(ctx); err != nil {
		klog.FromContext(ctx).Error(err, "Mounts of a pod's containers do not reach the node", "sandbox", s.id)
	}
}

// withdrawMounts takes the guest's mounts off the node before the guest goes. What fails is done with the share server's end.
func (s *sandbox) withdrawMounts(ctx context.Context) {
	if s.share == nil || len(s.outward()) == 0 {
		return
	}
	select {
	case <-s.share.Exited():
		return
	default:
	}
	err := s.propagation.op.lock(ctx)
	if err == nil {
		defer s.propagation.op.unlock()
		var shown []string
		if shown, err = s.share.Exports(ctx); err == nil {
			err = s.show(ctx, nil, shown)
		}
	}
	if err != nil {
		klog.FromContext(ctx).Error(err, "Mounts of a pod's containers stay on the node until its share server ends", "sandbox", s.id)
	}
}

// syncMounts makes the node show what is mounted in the guest, and nothing else.
func (s *sandbox) syncMounts(ctx context.Context) error {
	if err := s.propagation.op.lock(ctx); err != nil {
		return err
	}
	defer s.propagation.op.unlock()
	if s.share == nil {
		return fmt.Errorf("%w: the sandbox has no share server", ErrUnavailable)
	}
	answer, err := s.guestMounts(ctx, 0)
	if err != nil {
		return err
	}
	wanted := wantedExports(answer.Mounts, s.outward())
	shown, err := s.share.Exports(ctx)
	if err != nil {
		return err
	}
	return s.show(ctx, wanted, shown)
}
