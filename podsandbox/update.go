package podsandbox

import (
	"context"
	"encoding/json"
	"fmt"

	"k8s.io/klog/v2"

	guestapi "github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/podsandbox/ocispec"
)

// UpdateContainer changes a container's limits, and its VM's size with them.
func (m *Manager) UpdateContainer(ctx context.Context, id string, r Resources) error {
	c, err := m.container(id)
	if err != nil {
		return err
	}
	if err := c.op.lock(ctx); err != nil {
		return err
	}
	defer c.op.unlock()
	if c.state() == ContainerExited {
		return stateError(c, "it has no limits any more")
	}
	if err := m.hooks.UpdateContainer(ctx, c.status.Load(), &r); err != nil {
		return fmt.Errorf("update container %s: %w", c.id, err)
	}
	if err := m.setLimits(ctx, c, r); err != nil {
		return fmt.Errorf("update container %s: %w", c.id, err)
	}
	m.hooks.ContainerUpdated(ctx, c.status.Load())
	return nil
}

// setLimits stores what is about to be, has the VM large enough for before and
// after, has the guest set it, and stores that it is.
func (m *Manager) setLimits(ctx context.Context, c *container, change Resources) error {
	ctx, leave, err := c.sandbox.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if err := c.limits.lock(ctx); err != nil {
		return err
	}
	defer c.limits.unlock()
	if c.state() == ContainerExited {
		return stateError(c, "it has no limits any more")
	}
	s, old := c.sandbox, c.status.Load().Config.Resources
	next := merged(old, change)
	if err := m.noteUpdate(c, old, &change); err != nil {
		return err
	}
	s.claim(c.id, larger(old, next))
	err = m.resize(ctx, s)
	if err == nil {
		err = s.updateInGuest(ctx, c.id, change)
	}
	if err != nil {
		next = old
	}
	stored := m.noteUpdate(c, next, nil)
	s.unclaim(c.id)
	if err == nil {
		err = stored
	}
	m.resizeAfter(ctx, s)
	return err
}

// noteUpdate stores a container's limits, and the change that is under way.
func (m *Manager) noteUpdate(c *container, now Resources, change *Resources) error {
	_, err := m.updateContainer(c, func(rec *containerRecord) bool {
		rec.Status.Config.Resources, rec.Update = now, change
		rec.Status.Spec = withLimits(rec.Status.Spec, now)
		return true
	})
	return err
}

func (s *sandbox) updateInGuest(ctx context.Context, container string, change Resources) error {
	limits, err := json.Marshal(ocispec.LinuxResources(specResources(change)))
	if err != nil {
		return err
	}
	return s.agent.retry(ctx, func(conn *agentConn) error {
		_, err := conn.UpdateContainer(ctx, &guestapi.UpdateContainerRequest{Id: container, Resources: limits})
		return fromAgent(err)
	})
}

// settleSize finishes what changes of size a crash left half made.
func (m *Manager) settleSize(s *sandbox) {
	ctx, cancel := context.WithTimeout(m.life, recoverTime)
	defer cancel()
	for _, c := range s.allContainers() {
		change := c.pendingUpdate()
		if change == nil {
			continue
		}
		if err := m.UpdateContainer(ctx, c.id, *change); err != nil {
			klog.ErrorS(err, "Limits that were being changed when the daemon ended stay as they were", "container", c.id)
		}
	}
	ctx, leave, err := s.enter(ctx)
	if err != nil {
		return // it has ended since
	}
	defer leave()
	m.resizeAfter(ctx, s)
}

// pendingUpdate is a change that was stored, and never finished.
func (c *container) pendingUpdate() *Resources {
	c.commit.Lock()
	defer c.commit.Unlock()
	return c.record.Update
}

// larger covers two sets of limits, for the VM that has to hold both.
func larger(a, b Resources) Resources {
	a.MemoryLimit = max(a.MemoryLimit, b.MemoryLimit)
	if milliCPUs(b.CPUQuota, b.CPUPeriod) > milliCPUs(a.CPUQuota, a.CPUPeriod) {
		a.CPUQuota, a.CPUPeriod = b.CPUQuota, b.CPUPeriod
	}
	return a
}

// merged is old with what change sets. A process's OOM score is set at its start only.
func merged(old, change Resources) Resources {
	for _, f := range []struct{ to, from *int64 }{
		{&old.CPUPeriod, &change.CPUPeriod}, {&old.CPUQuota, &change.CPUQuota}, {&old.CPUShares, &change.CPUShares},
		{&old.MemoryLimit, &change.MemoryLimit}, {&old.MemorySwapLimit, &change.MemorySwapLimit},
		{&old.MemoryReservation, &change.MemoryReservation}, {&old.PidsLimit, &change.PidsLimit},
	} {
		if *f.from != 0 {
			*f.to = *f.from
		}
	}
	if change.CpusetCpus != "" {
		old.CpusetCpus = change.CpusetCpus
	}
	if change.CpusetMems != "" {
		old.CpusetMems = change.CpusetMems
	}
	if change.HugepageLimits != nil {
		old.HugepageLimits = change.HugepageLimits
	}
	if change.Unified != nil {
		old.Unified = change.Unified
	}
	return old
}

// PodResources are a pod's overhead and limits; nil stays as it is.
type PodResources struct{ Overhead, Resources *Resources }

// UpdateSandbox changes a pod's limits and its VM's size. They are stored first:
// a crash in between is finished by the next start.
func (m *Manager) UpdateSandbox(ctx context.Context, id string, r PodResources) error {
	s, err := m.sandbox(id)
	if err != nil {
		return err
	}
	ctx, leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if err := s.updating.lock(ctx); err != nil {
		return err
	}
	defer s.updating.unlock()
	old := s.status.Load().Config
	next := PodResources{&old.Overhead, &old.Resources}
	if r.Overhead != nil {
		next.Overhead = r.Overhead
	}
	if r.Resources != nil {
		next.Resources = r.Resources
	}
	if err := m.hooks.UpdateSandbox(ctx, s.status.Load(), *next.Overhead, *next.Resources); err != nil {
		return fmt.Errorf("update sandbox %s: %w", s.id, err)
	}
	if err := m.storeResources(s, next); err != nil {
		return err
	}
	if err := m.resize(ctx, s); err != nil {
		if undone := m.storeResources(s, PodResources{&old.Overhead, &old.Resources}); undone != nil {
			klog.FromContext(ctx).Error(undone, "Cannot store a sandbox's former limits", "sandbox", s.id)
		}
		m.resizeAfter(ctx, s)
		return fmt.Errorf("update sandbox %s: %w", s.id, err)
	}
	m.hooks.SandboxUpdated(ctx, s.status.Load())
	return nil
}

func (m *Manager) storeResources(s *sandbox, r PodResources) error {
	return m.updateSandbox(s, func(rec *sandboxRecord) bool {
		rec.Status.Config.Overhead, rec.Status.Config.Resources = *r.Overhead, *r.Resources
		return true
	})
}
