package windowsagent

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/bridge"
)

var _ api.AgentService = (*Agent)(nil)

// Handshake implements api.AgentService: it answers when the guest is connected.
func (a *Agent) Handshake(ctx context.Context, req *api.HandshakeRequest) (*api.HandshakeResponse, error) {
	if req.ProtocolMax < api.ProtocolMin || req.ProtocolMin > api.ProtocolMax {
		return nil, wrongState("the host speaks protocols %d to %d, this agent %d to %d", req.ProtocolMin, req.ProtocolMax, api.ProtocolMin, api.ProtocolMax)
	}
	client, err := a.guest(ctx)
	if err != nil {
		return nil, err
	}
	kernel := "windows"
	if all := client.Guest.SupportedSchemaVersions; len(all) > 0 {
		last := all[len(all)-1]
		kernel = fmt.Sprintf("windows, schema %d.%d", last.Major, last.Minor)
	}
	return &api.HandshakeResponse{
		Protocol: min(req.ProtocolMax, api.ProtocolMax), AgentVersion: req.HostVersion, KernelRelease: kernel, Architecture: "amd64",
	}, nil
}

// Personalize implements api.AgentService. Windows guests boot each on their own, and
// have the host's clock and entropy by Hyper-V's integration services.
func (a *Agent) Personalize(context.Context, *api.PersonalizeRequest) (*api.PersonalizeResponse, error) {
	return &api.PersonalizeResponse{}, nil
}

// ConfigureSandbox implements api.AgentService. Interfaces, addresses and resolvers are
// those of the endpoints that the VM was given.
func (a *Agent) ConfigureSandbox(_ context.Context, req *api.ConfigureSandboxRequest) (*api.ConfigureSandboxResponse, error) {
	switch {
	case req.HostNetwork != nil:
		return nil, unsupported("a VM cannot join the network of a Windows node: use hostPort")
	case req.UserNamespace != nil:
		return nil, unsupported("Windows has no user namespaces")
	case len(req.Sysctls) > 0:
		return nil, unsupported("Windows has no sysctls")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sandbox = sandbox{Hostname: req.Hostname, Searches: req.Dns.GetSearches()}
	return &api.ConfigureSandboxResponse{}, a.save()
}

// UpdateSandbox implements api.AgentService: a Windows VM's own size is its limit.
func (a *Agent) UpdateSandbox(context.Context, *api.UpdateSandboxRequest) (*api.UpdateSandboxResponse, error) {
	return &api.UpdateSandboxResponse{Cpus: a.cfg.Processors}, nil
}

// UpdateContainer implements api.AgentService.
func (a *Agent) UpdateContainer(ctx context.Context, req *api.UpdateContainerRequest) (*api.UpdateContainerResponse, error) {
	c, err := a.container(req.Id)
	if err != nil {
		return nil, err
	}
	if _, err := a.guest(ctx); err != nil {
		return nil, err
	}
	if _, err := c.init.running(); err != nil {
		return nil, err
	}
	var r specs.LinuxResources
	if err := json.Unmarshal(req.Resources, &r); err != nil {
		return nil, invalid("resources of container %s: %v", req.Id, err)
	}
	memory, processor := a.limits(&r)
	handle := a.handleOf(c)
	if memory != nil {
		if err := handle.Modify(ctx, bridge.LimitMemory(memory.SizeInMB)); err != nil {
			return nil, fmt.Errorf("limit the memory of container %s: %w", req.Id, err)
		}
	}
	if processor != nil {
		if err := handle.Modify(ctx, bridge.LimitProcessor(*processor)); err != nil {
			return nil, fmt.Errorf("limit the processors of container %s: %w", req.Id, err)
		}
	}
	return &api.UpdateContainerResponse{}, nil
}

// Shutdown implements api.AgentService: it ends every container. The host service turns the VM off.
func (a *Agent) Shutdown(ctx context.Context, req *api.ShutdownRequest) (*api.ShutdownResponse, error) {
	if _, err := a.guest(ctx); err != nil {
		return nil, err
	}
	a.mu.Lock()
	var live []*bridge.Container
	for _, c := range a.containers {
		if c.Exit == nil && c.handle != nil {
			live = append(live, c.handle)
		}
	}
	a.mu.Unlock()
	for _, handle := range live {
		if err := handle.Terminate(ctx); err != nil && !gone(err) {
			return nil, err
		}
	}
	if !req.KeepPower {
		return nil, unsupported("the host service turns a Windows VM off")
	}
	return &api.ShutdownResponse{}, nil
}

func (a *Agent) handleOf(c *container) *bridge.Container {
	a.mu.Lock()
	defer a.mu.Unlock()
	return c.handle
}

// What Linux guests have and Windows ones have not.

// Rehearse implements api.AgentService.
func (a *Agent) Rehearse(context.Context, *api.RehearseRequest) (*api.RehearseResponse, error) {
	return &api.RehearseResponse{}, nil // there is nothing to translate ahead
}

// SyncPorts implements api.AgentService.
func (a *Agent) SyncPorts(context.Context, *api.SyncPortsRequest) (*api.SyncPortsResponse, error) {
	return nil, wrongState("the pod is not on the node's network")
}

// AttachShare implements api.AgentService.
func (a *Agent) AttachShare(context.Context, *api.AttachShareRequest) (*api.AttachShareResponse, error) {
	return nil, unsupported("a Windows guest has the host's folders by its VM, not by file shares")
}

// DetachShare implements api.AgentService.
func (a *Agent) DetachShare(context.Context, *api.DetachShareRequest) (*api.DetachShareResponse, error) {
	return &api.DetachShareResponse{}, nil
}

// WatchMounts implements api.AgentService.
func (a *Agent) WatchMounts(context.Context, *api.WatchMountsRequest) (*api.WatchMountsResponse, error) {
	return nil, unsupported("mounts of Windows containers do not reach the node")
}
