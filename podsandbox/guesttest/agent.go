package guesttest

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/podsandbox/vm/vmtest"
)

// Agent is one guest's agent.
type Agent struct {
	vmtest.Agent
	// Fail, if set, is asked before each call by its name; its error, INTERNAL unless it has a code, is the call's.
	Fail func(call string) error

	mu         sync.Mutex
	configured *api.ConfigureSandboxRequest
	updated    *api.UpdateSandboxRequest
	shares     map[string]bool
	listening  []*api.Listener
	nodePorts  []*api.Listener
	mounts     []*api.GuestMount
	version    uint64
	containers map[string]*Container
}

// Boot starts an agent in a fake VM; it is what vmtest.Fake.Boot takes.
func Boot(g *vmtest.Guest, fail func(call string) error) (*Agent, error) {
	a := &Agent{Agent: vmtest.Agent{Guest: g}, Fail: fail, shares: map[string]bool{}, containers: map[string]*Container{}}
	if err := g.ServeAgent(a); err != nil {
		return nil, err
	}
	l, err := g.Listen(api.StreamPort)
	if err != nil {
		return nil, err
	}
	go a.serveStreams(l)
	return a, nil
}

func (a *Agent) check(call string) error {
	if a.Fail == nil {
		return nil
	}
	err := a.Fail(call)
	if _, coded := status.FromError(err); coded {
		return err
	}
	return status.Error(codes.Internal, err.Error())
}

// Container is a container by id; nil if there is none.
func (a *Agent) Container(id string) *Container {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.containers[id]
}

// Containers counts the containers, Shares the mounted shares.
func (a *Agent) Containers() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.containers)
}

// Shares counts the mounted shares.
func (a *Agent) Shares() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.shares)
}

// Configured is the sandbox's configuration; nil before there is one.
func (a *Agent) Configured() *api.ConfigureSandboxRequest {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.configured
}

func (a *Agent) find(id string) (*Container, error) {
	if c := a.Container(id); c != nil {
		return c, nil
	}
	return nil, status.Errorf(codes.NotFound, "no container %s", id)
}

// Personalize accepts anything.
func (a *Agent) Personalize(context.Context, *api.PersonalizeRequest) (*api.PersonalizeResponse, error) {
	return &api.PersonalizeResponse{}, a.check("Personalize")
}

// ConfigureSandbox keeps the request.
func (a *Agent) ConfigureSandbox(_ context.Context, r *api.ConfigureSandboxRequest) (*api.ConfigureSandboxResponse, error) {
	if err := a.check("ConfigureSandbox"); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.configured = r
	return &api.ConfigureSandboxResponse{}, nil
}

// SetMounts makes mounts what containers have mounted below shares.
func (a *Agent) SetMounts(mounts ...*api.GuestMount) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mounts = mounts
	a.version++
}

// WatchMounts tells what SetMounts was given.
func (a *Agent) WatchMounts(ctx context.Context, r *api.WatchMountsRequest) (*api.WatchMountsResponse, error) {
	if err := a.check("WatchMounts"); err != nil {
		return nil, err
	}
	for {
		a.mu.Lock()
		answer := &api.WatchMountsResponse{Version: a.version + 1, Mounts: a.mounts}
		a.mu.Unlock()
		if answer.Version != r.Known {
			return answer, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
}

// AttachShare counts a share.
func (a *Agent) AttachShare(_ context.Context, r *api.AttachShareRequest) (*api.AttachShareResponse, error) {
	if err := a.check("AttachShare"); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.shares[r.ShareId] = true
	return &api.AttachShareResponse{}, nil
}

// DetachShare forgets it.
func (a *Agent) DetachShare(_ context.Context, r *api.DetachShareRequest) (*api.DetachShareResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.shares, r.ShareId)
	return &api.DetachShareResponse{}, nil
}

// CreateContainer makes a container whose process has not started.
func (a *Agent) CreateContainer(_ context.Context, r *api.CreateContainerRequest) (*api.CreateContainerResponse, error) {
	if err := a.check("CreateContainer"); err != nil {
		return nil, err
	}
	a.mu.Lock()
	taken := a.containers[r.Id] != nil
	if !taken {
		a.containers[r.Id] = &Container{Request: r, Init: newProcess(), execs: map[string]*Process{}}
	}
	a.mu.Unlock()
	if taken {
		return nil, status.Errorf(codes.AlreadyExists, "container %s exists", r.Id)
	}
	return &api.CreateContainerResponse{User: &api.ResolvedUser{Uid: uint32(r.User.GetUid())}, Pid: 1}, a.check("CreateContainer, answer")
}

// StartContainer starts it.
func (a *Agent) StartContainer(_ context.Context, r *api.StartContainerRequest) (*api.StartContainerResponse, error) {
	if err := a.check("StartContainer"); err != nil {
		return nil, err
	}
	c, err := a.find(r.Id)
	if err != nil {
		return nil, err
	}
	at := time.Now()
	c.Init.start(at)
	return &api.StartContainerResponse{StartedUnixNanos: at.UnixNano(), Pid: 1}, nil
}

// DeleteContainer kills and forgets it.
func (a *Agent) DeleteContainer(_ context.Context, r *api.DeleteContainerRequest) (*api.DeleteContainerResponse, error) {
	if err := a.check("DeleteContainer"); err != nil {
		return nil, err
	}
	a.mu.Lock()
	c := a.containers[r.Id]
	delete(a.containers, r.Id)
	a.mu.Unlock()
	if c != nil {
		c.Init.discard()
	}
	return &api.DeleteContainerResponse{}, nil
}

// UpdateContainer accepts anything, and remembers it.
func (a *Agent) UpdateContainer(_ context.Context, r *api.UpdateContainerRequest) (*api.UpdateContainerResponse, error) {
	if err := a.check("UpdateContainer"); err != nil {
		return nil, err
	}
	c, err := a.find(r.Id)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.resources = r.Resources
	return &api.UpdateContainerResponse{}, nil
}

// UpdateSandbox accepts anything, and remembers it.
func (a *Agent) UpdateSandbox(_ context.Context, r *api.UpdateSandboxRequest) (*api.UpdateSandboxResponse, error) {
	if err := a.check("UpdateSandbox"); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.updated = r
	return &api.UpdateSandboxResponse{Cpus: r.Cpus}, nil
}

// Updated is the last UpdateSandbox; nil before any.
func (a *Agent) Updated() *api.UpdateSandboxRequest {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.updated
}

// ListContainers tells all containers.
func (a *Agent) ListContainers(context.Context, *api.ListContainersRequest) (*api.ListContainersResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := &api.ListContainersResponse{}
	for id, c := range a.containers {
		out.Containers = append(out.Containers, c.Init.state(id))
	}
	return out, nil
}

// Stats answers with what was asked for, all zero.
func (a *Agent) Stats(_ context.Context, r *api.StatsRequest) (*api.StatsResponse, error) {
	out := &api.StatsResponse{Pod: &api.PodStats{UnixNanos: time.Now().UnixNano()}}
	for _, id := range r.ContainerIds {
		out.Containers = append(out.Containers, &api.ContainerStats{Id: id})
	}
	return out, nil
}
