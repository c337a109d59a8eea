package windowsagent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/bridge"
)

const (
	// undoTime bounds what is done to clean up, when the caller's context has ended.
	undoTime = 30 * time.Second
	// endTime is how long a container that was terminated may take to end.
	endTime = 30 * time.Second
)

// container is one in the guest.
type container struct {
	// noted is guarded by Agent.mu.
	noted
	handle *bridge.Container // in the present connection; nil before the first
	init   *process
	execs  map[string]*process
}

// restored is a container that an earlier agent noted. Its output went with that.
func (a *Agent) restored(n noted) *container {
	c := &container{noted: n, init: newProcess(n.Process), execs: map[string]*process{}}
	c.init.loseOutput()
	if n.Exit != nil {
		c.init.finish(*n.Exit)
	}
	return c
}

// reopen finds the container and its processes again in a new connection. Callers hold Agent.mu.
func (c *container) reopen(a *Agent, client *bridge.Client) error {
	if c.Exit != nil {
		return nil
	}
	handle, err := client.OpenContainer(c.GuestID)
	if err != nil {
		return fmt.Errorf("container %s: %w", c.ID, err)
	}
	c.handle = handle
	if c.PID != 0 {
		a.followInit(c, handle, handle.OpenProcess(c.PID))
	}
	for _, p := range c.execs {
		if p.live() {
			p.follow(handle, handle.OpenProcess(p.pid()), nil)
		}
	}
	return nil
}

// CreateContainer implements api.AgentService.
func (a *Agent) CreateContainer(ctx context.Context, req *api.CreateContainerRequest) (_ *api.CreateContainerResponse, err error) {
	client, err := a.guest(ctx)
	if err != nil {
		return nil, err
	}
	plan, err := a.plan(req)
	if err != nil {
		return nil, err
	}
	if err := a.reserve(req.Id); err != nil {
		return nil, err
	}
	defer a.unreserve(req.Id)
	m := &making{client: client, plan: plan}
	if err := m.run(ctx); err != nil {
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
		defer cancel()
		return nil, errors.Join(err, m.undo(undo))
	}
	c := &container{noted: plan.noted, handle: m.handle, init: newProcess(plan.noted.Process), execs: map[string]*process{}}
	a.mu.Lock()
	a.containers[req.Id] = c
	err = a.save()
	if err != nil {
		delete(a.containers, req.Id)
	}
	a.mu.Unlock()
	if err != nil {
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
		defer cancel()
		return nil, errors.Join(err, m.undo(undo))
	}
	return &api.CreateContainerResponse{}, nil
}

func (a *Agent) reserve(id string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if id == "" {
		return invalid("a container needs an id")
	}
	if a.containers[id] != nil || a.making[id] {
		return status.Errorf(codes.AlreadyExists, "container %s exists", id)
	}
	a.making[id] = true
	return nil
}

func (a *Agent) unreserve(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.making, id)
}

// making is one CreateContainer under way.
type making struct {
	client *bridge.Client
	plan   *plan

	mounted, combined bool
	handle            *bridge.Container
}

func (m *making) run(ctx context.Context) error {
	p := m.plan
	for _, dir := range p.folders {
		if err := makeFolder(ctx, m.client, dir); err != nil {
			return err
		}
	}
	m.mounted = true // also when it fails half-way
	if err := m.client.Modify(ctx, bridge.MountDisk(p.LUN, p.Root)); err != nil {
		return fmt.Errorf("mount the scratch disk: %w", err)
	}
	m.combined = true
	if err := m.client.Modify(ctx, bridge.CombinedLayers(p.Root, p.layers)); err != nil {
		return fmt.Errorf("combine the layers: %w", err)
	}
	handle, err := m.client.CreateContainer(ctx, p.GuestID, p.document())
	if err != nil {
		return err
	}
	m.handle = handle
	return nil
}

// undo takes back what there is; what never came to be is no error.
func (m *making) undo(ctx context.Context) error {
	if m.handle != nil {
		if err := end(ctx, m.client, m.handle); err != nil {
			return err
		}
	}
	if m.combined {
		_ = m.client.Modify(ctx, bridge.UncombineLayers(m.plan.Root)) // perhaps they were not combined
	}
	if m.mounted {
		_ = m.client.Modify(ctx, bridge.UnmountDisk(m.plan.LUN, m.plan.Root)) // perhaps it was not mounted
	}
	return nil
}

// end ends a container and has the guest forget it.
func end(ctx context.Context, client *bridge.Client, handle *bridge.Container) error {
	if err := handle.Terminate(ctx); err != nil && !gone(err) {
		return fmt.Errorf("terminate container %s: %w", handle.ID(), err)
	} else if err == nil {
		select {
		case <-handle.Exited():
		case <-time.After(endTime):
			return fmt.Errorf("container %s was terminated and has not ended after %v", handle.ID(), endTime)
		case <-ctx.Done():
			return fmt.Errorf("container %s was terminated and has not ended: %w", handle.ID(), context.Cause(ctx))
		}
	}
	if !client.Guest.GuestDefinedCapabilities.DeleteContainerStateSupported {
		return nil
	}
	if err := handle.Delete(ctx); err != nil && !gone(err) {
		return fmt.Errorf("delete container %s: %w", handle.ID(), err)
	}
	return nil
}

// StartContainer implements api.AgentService.
func (a *Agent) StartContainer(ctx context.Context, req *api.StartContainerRequest) (*api.StartContainerResponse, error) {
	c, err := a.container(req.Id)
	if err != nil {
		return nil, err
	}
	if _, err := a.guest(ctx); err != nil {
		return nil, err
	}
	a.mu.Lock()
	handle, started := c.handle, c.PID != 0 || c.Exit != nil || c.Started != 0
	now := time.Now().UnixNano()
	if !started {
		c.Started = now
	}
	a.mu.Unlock()
	if started {
		return nil, wrongState("container %s was started before", req.Id)
	}
	if err := handle.Start(ctx); err != nil {
		return nil, fmt.Errorf("start container %s: %w", req.Id, err)
	}
	proc, err := handle.Execute(ctx, c.Process.parameters())
	if err != nil {
		return nil, fmt.Errorf("start container %s: %q: %w", req.Id, c.Process.Line, err)
	}
	c.init.attach(proc)
	err = a.note(c, func(n *noted) { n.PID = proc.PID() })
	if err != nil {
		_ = proc.Kill(ctx) // the error says that it was not started
		return nil, err
	}
	a.followInit(c, handle, proc)
	return &api.StartContainerResponse{StartedUnixNanos: now, Pid: proc.PID()}, nil
}

// followInit notes the end of a container's first process, and ends the container then.
func (a *Agent) followInit(c *container, handle *bridge.Container, proc *bridge.Process) {
	c.init.follow(handle, proc, func(e exit) {
		_ = a.note(c, func(n *noted) { n.Exit = &e }) // told from memory, if not from the disk
		go func() {
			ctx, cancel := context.WithTimeout(a.life, undoTime)
			defer cancel()
			_ = handle.Terminate(ctx) // DeleteContainer does it again
		}()
	})
}

// DeleteContainer implements api.AgentService.
func (a *Agent) DeleteContainer(ctx context.Context, req *api.DeleteContainerRequest) (*api.DeleteContainerResponse, error) {
	c, err := a.container(req.Id)
	if err != nil {
		return &api.DeleteContainerResponse{}, nil
	}
	client, err := a.guest(ctx)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	handle, root, lun := c.handle, c.Root, c.LUN
	a.mu.Unlock()
	if handle == nil || stale(handle) {
		if handle, err = client.OpenContainer(c.GuestID); err != nil {
			return nil, err
		}
	}
	if err := end(ctx, client, handle); err != nil {
		return nil, err
	}
	if root != "" {
		for _, m := range []bridge.Modification{bridge.UncombineLayers(root), bridge.UnmountDisk(lun, root)} {
			if err := client.Modify(ctx, m); err != nil && !gone(err) {
				return nil, fmt.Errorf("delete container %s: %s: %w", req.Id, m.ResourceType, err)
			}
		}
	}
	a.mu.Lock()
	delete(a.containers, req.Id)
	err = a.save()
	processes := slices.AppendSeq([]*process{c.init}, maps.Values(c.execs))
	a.mu.Unlock()
	for _, p := range processes {
		p.discard()
	}
	return &api.DeleteContainerResponse{}, err
}

// stale tells whether a handle is of a connection that has ended.
func stale(handle *bridge.Container) bool {
	select {
	case <-handle.Exited():
		_, err := handle.Exit()
		return err != nil
	default:
		return false
	}
}

// ListContainers implements api.AgentService.
func (a *Agent) ListContainers(context.Context, *api.ListContainersRequest) (*api.ListContainersResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	resp := &api.ListContainersResponse{}
	for _, c := range a.containers {
		s := &api.ContainerState{Id: c.ID, Pid: c.PID, StartedUnixNanos: c.Started, State: api.ProcessState_PROCESS_STATE_CREATED}
		switch {
		case c.Exit != nil:
			s.State, s.Exit = api.ProcessState_PROCESS_STATE_ENDED, c.Exit.told()
		case c.PID != 0:
			s.State = api.ProcessState_PROCESS_STATE_RUNNING
		}
		resp.Containers = append(resp.Containers, s)
	}
	return resp, nil
}

func (a *Agent) container(id string) (*container, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.containers[id]; c != nil {
		return c, nil
	}
	return nil, notFound("no container %s", id)
}
