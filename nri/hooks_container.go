package nri

import (
	"context"
	"slices"

	"github.com/containerd/nri/pkg/api"

	"github.com/paddock-run/paddock/podsandbox"
)

// CreateContainer asks plugins about a container that is going to be made, and makes their adjustments.
func (a *Adapter) CreateContainer(ctx context.Context, c *podsandbox.ContainerStatus) error {
	answer, err := a.askCreate(ctx, c)
	if err != nil {
		return refused("CreateContainer", err)
	}
	if answer == nil {
		return nil
	}
	if err := adjust(c, answer.Adjust); err != nil {
		return err
	}
	a.apply(ctx, answer.Update)
	return nil
}

func (a *Adapter) askCreate(ctx context.Context, c *podsandbox.ContainerStatus) (*api.CreateContainerResponse, error) {
	defer a.begin()()
	e := &containerEntry{status: *c, state: api.ContainerState_CONTAINER_UNKNOWN}
	a.ledger.containers[c.ID] = e
	if a.idle() {
		return nil, nil
	}
	return a.nri.CreateContainer(ctx, &api.CreateContainerRequest{Pod: a.ledger.pod(c), Container: e.view()})
}

// ContainerCreated tells plugins what was made.
func (a *Adapter) ContainerCreated(ctx context.Context, c *podsandbox.ContainerStatus) {
	defer a.begin()()
	e := a.note(c, api.ContainerState_CONTAINER_CREATED)
	if e == nil || a.idle() {
		return
	}
	told(ctx, "PostCreateContainer", c.ID, a.nri.PostCreateContainer(context.WithoutCancel(ctx),
		&api.PostCreateContainerRequest{Pod: a.ledger.pod(c), Container: e.view()}))
}

// StartContainer tells plugins of a container that is going to be started. One that fails keeps it from it.
func (a *Adapter) StartContainer(ctx context.Context, c *podsandbox.ContainerStatus) error {
	defer a.begin()()
	e := a.note(c, api.ContainerState_CONTAINER_CREATED)
	if e == nil || a.idle() {
		return nil
	}
	return refused("StartContainer", a.nri.StartContainer(ctx, &api.StartContainerRequest{Pod: a.ledger.pod(c), Container: e.view()}))
}

// ContainerStarted tells plugins of a container that was started.
func (a *Adapter) ContainerStarted(ctx context.Context, c *podsandbox.ContainerStatus) {
	defer a.begin()()
	e := a.note(c, api.ContainerState_CONTAINER_RUNNING) // though it may have ended by now: that is told next
	if e == nil || a.idle() {
		return
	}
	told(ctx, "PostStartContainer", c.ID, a.nri.PostStartContainer(context.WithoutCancel(ctx),
		&api.PostStartContainerRequest{Pod: a.ledger.pod(c), Container: e.view()}))
}

// UpdateContainer asks plugins about new limits, which they may change.
func (a *Adapter) UpdateContainer(ctx context.Context, c *podsandbox.ContainerStatus, r *podsandbox.Resources) error {
	answer, err := a.askUpdate(ctx, c, r)
	if err != nil {
		return refused("UpdateContainer", err)
	}
	updates := slices.DeleteFunc(answer.GetUpdate(), func(u *api.ContainerUpdate) bool { return u == nil })
	for _, u := range updates {
		if u.ContainerId != c.ID {
			continue
		}
		changed := podsandbox.Resources{OOMScoreAdj: r.OOMScoreAdj, MemorySwapLimit: r.MemorySwapLimit}
		if err := limits("update", u.GetLinux().GetResources(), &changed); err != nil {
			return err
		}
		*r = changed
	}
	a.apply(ctx, slices.DeleteFunc(updates, func(u *api.ContainerUpdate) bool { return u.ContainerId == c.ID }))
	return nil
}

func (a *Adapter) askUpdate(ctx context.Context, c *podsandbox.ContainerStatus, r *podsandbox.Resources) (*api.UpdateContainerResponse, error) {
	defer a.begin()()
	e := a.ledger.containers[c.ID]
	if e == nil || a.idle() {
		return nil, nil
	}
	e.status = *c
	return a.nri.UpdateContainer(ctx, &api.UpdateContainerRequest{Pod: a.ledger.pod(c), Container: e.view(), LinuxResources: toNRI(r)})
}

// ContainerUpdated tells plugins of a container whose limits were changed.
func (a *Adapter) ContainerUpdated(ctx context.Context, c *podsandbox.ContainerStatus) {
	defer a.begin()()
	e := a.ledger.containers[c.ID]
	if e == nil {
		return
	}
	e.status = *c
	if a.idle() {
		return
	}
	told(ctx, "PostUpdateContainer", c.ID, a.nri.PostUpdateContainer(context.WithoutCancel(ctx),
		&api.PostUpdateContainerRequest{Pod: a.ledger.pod(c), Container: e.view()}))
}

// StopContainer tells plugins of a container that has ended, once.
func (a *Adapter) StopContainer(ctx context.Context, c *podsandbox.ContainerStatus) {
	end := a.begin()
	updates := a.stopContainer(ctx, c)
	end()
	a.apply(ctx, updates)
}

func (a *Adapter) stopContainer(ctx context.Context, c *podsandbox.ContainerStatus) []*api.ContainerUpdate {
	e := a.ledger.containers[c.ID]
	if e == nil || e.state == api.ContainerState_CONTAINER_STOPPED {
		return nil
	}
	e.status, e.state = *c, api.ContainerState_CONTAINER_STOPPED
	if a.idle() {
		return nil
	}
	answer, err := a.nri.StopContainer(context.WithoutCancel(ctx), &api.StopContainerRequest{Pod: a.ledger.pod(c), Container: e.view()})
	told(ctx, "StopContainer", c.ID, err)
	return answer.GetUpdate()
}

// RemoveContainer tells plugins of a container that is gone, or that could not be made after all.
func (a *Adapter) RemoveContainer(ctx context.Context, c *podsandbox.ContainerStatus) {
	end := a.begin()
	updates := a.removeContainer(ctx, c)
	end()
	a.apply(ctx, updates)
}

func (a *Adapter) removeContainer(ctx context.Context, c *podsandbox.ContainerStatus) []*api.ContainerUpdate {
	updates := a.stopContainer(ctx, c)
	e := a.ledger.containers[c.ID]
	if e == nil {
		return nil
	}
	e.status = *c
	delete(a.ledger.containers, c.ID)
	if a.idle() {
		return nil
	}
	told(ctx, "RemoveContainer", c.ID, a.nri.RemoveContainer(context.WithoutCancel(ctx),
		&api.RemoveContainerRequest{Pod: a.ledger.pod(c), Container: e.view()}))
	return updates
}

// note has the ledger say a container's state, and returns the entry; nil for one that it does not know.
func (a *Adapter) note(c *podsandbox.ContainerStatus, state api.ContainerState) *containerEntry {
	e := a.ledger.containers[c.ID]
	if e != nil {
		e.status, e.state = *c, state
	}
	return e
}
