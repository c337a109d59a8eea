//go:build linux

package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/guest/agent/cgroup"
	"github.com/paddock-run/paddock/guest/api"
)

// removeTimeout bounds the wait for a container's killed processes to be gone.
const removeTimeout = 20 * time.Second

// StartContainer lets the container's init run its program.
func (a *Agent) StartContainer(ctx context.Context, req *api.StartContainerRequest) (*api.StartContainerResponse, error) {
	c, err := a.container(req.Id)
	if err != nil {
		return nil, err
	}
	started, err := a.start(c)
	if err != nil {
		return nil, err
	}
	if c.windows != nil {
		if err := c.awaitWindows(ctx, c.init); err != nil {
			return nil, err
		}
	}
	return &api.StartContainerResponse{StartedUnixNanos: started, Pid: uint32(c.init.pid())}, nil
}

func (a *Agent) start(c *container) (unixNanos int64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != api.ProcessState_PROCESS_STATE_CREATED {
		return 0, wrongState("container %q is %v, not created", c.id, c.state)
	}
	if err := a.runtime.Start(c.id); err != nil {
		return 0, wrongState("start container %q: %v", c.id, err)
	}
	c.state = api.ProcessState_PROCESS_STATE_RUNNING
	c.started = time.Now().UnixNano()
	return c.started, nil
}

// initEnded runs when a container's init has ended, before anyone is told.
func (a *Agent) initEnded(c *container, exit *api.Exit) {
	exit.OomKilled = cgroup.OOMKills(c.cgroup()) > 0
	// In a PID namespace of its own everything ended with init; elsewhere what init left would run on.
	if c.mode != api.PIDMode_PID_MODE_CONTAINER {
		if err := cgroup.Kill(c.cgroup()); err != nil {
			klog.ErrorS(err, "kill what the container left running", "container", c.id)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state = api.ProcessState_PROCESS_STATE_ENDED
}

// DeleteContainer ends and forgets a container.
func (a *Agent) DeleteContainer(ctx context.Context, req *api.DeleteContainerRequest) (*api.DeleteContainerResponse, error) {
	a.mu.Lock()
	c := a.containers[req.Id]
	a.mu.Unlock()
	if c == nil {
		return &api.DeleteContainerResponse{}, nil
	}
	select {
	case <-c.created:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err := a.remove(c); err != nil {
		return nil, err
	}
	return &api.DeleteContainerResponse{}, nil
}

// remove takes a container away, finished or not. It may be repeated after a failure.
func (a *Agent) remove(c *container) error {
	c.removing.Lock()
	defer c.removing.Unlock()
	if c.deleted {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), removeTimeout)
	defer cancel()
	if err := cgroup.Remove(ctx, c.cgroup()); err != nil {
		return fmt.Errorf("delete container %q: %w", c.id, err)
	}
	if c.init != nil {
		select {
		case <-c.init.ended:
		case <-ctx.Done():
			return fmt.Errorf("delete container %q: its init, PID %d, does not end", c.id, c.init.pid())
		}
		c.init.discard()
	}
	c.mu.Lock()
	for _, p := range c.execs {
		p.discard()
	}
	c.mu.Unlock()
	if err := unmountBelow(c.dir()); err != nil {
		return fmt.Errorf("delete container %q: %w", c.id, err)
	}
	for _, addr := range c.disks {
		a.disks.Release(addr)
	}
	c.disks = nil
	err := errors.Join(os.RemoveAll(c.dir()), os.RemoveAll(c.writable()), a.runtime.Forget(c.id))
	if err != nil {
		return fmt.Errorf("delete container %q: %w", c.id, err)
	}
	c.deleted = true
	a.sandbox.usage.forget(c.id)
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.containers, c.id)
	return nil
}

// unmountBelow unmounts what is mounted at and below dir, the last first.
func unmountBelow(dir string) error {
	mounts, err := mountinfo.GetMounts(func(m *mountinfo.Info) (skip, stop bool) {
		return m.Mountpoint != dir && !strings.HasPrefix(m.Mountpoint, dir+"/"), false
	})
	if err != nil {
		return fmt.Errorf("list mounts: %w", err)
	}
	slices.Reverse(mounts)
	for _, m := range mounts {
		if err := unix.Unmount(m.Mountpoint, unix.MNT_DETACH); err != nil && err != unix.EINVAL {
			return fmt.Errorf("unmount %s: %w", m.Mountpoint, err)
		}
	}
	return nil
}

// ListContainers tells every container that was created.
func (a *Agent) ListContainers(context.Context, *api.ListContainersRequest) (*api.ListContainersResponse, error) {
	resp := &api.ListContainersResponse{}
	for _, c := range a.allContainers() {
		c.mu.Lock()
		state := &api.ContainerState{Id: c.id, State: c.state, StartedUnixNanos: c.started}
		c.mu.Unlock()
		state.Pid = uint32(c.init.pid())
		if exit := c.init.ending(); exit != nil {
			state.Exit, state.State = exit, api.ProcessState_PROCESS_STATE_ENDED
		} else if state.State == api.ProcessState_PROCESS_STATE_ENDED {
			state.State = api.ProcessState_PROCESS_STATE_RUNNING // about to end: its exit is not known yet
		}
		resp.Containers = append(resp.Containers, state)
	}
	return resp, nil
}

// allContainers are those that were created, ordered by id.
func (a *Agent) allContainers() []*container {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []*container
	for _, c := range a.containers {
		if c.getState() != api.ProcessState_PROCESS_STATE_UNSPECIFIED {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(x, y *container) int { return strings.Compare(x.id, y.id) })
	return all
}
