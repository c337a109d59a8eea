package cri

import (
	"context"

	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/podsandbox"
)

// UpdateContainerResources changes a container's limits.
func (s *Server) UpdateContainerResources(ctx context.Context, r *runtimeapi.UpdateContainerResourcesRequest) (*runtimeapi.UpdateContainerResourcesResponse, error) {
	if err := checkID("container_id", r.GetContainerId()); err != nil {
		return nil, err
	}
	if r.GetLinux() == nil && r.GetWindows() == nil {
		return nil, invalid("linux or windows", "is required")
	}
	if err := checkLinuxResources("linux", r.GetLinux()); err != nil {
		return nil, err
	}
	if err := checkWindowsResources("windows", r.GetWindows()); err != nil {
		return nil, err
	}
	c, err := s.runtime.Container(r.GetContainerId())
	if err != nil {
		return nil, err
	}
	if c.State == podsandbox.ContainerExited {
		return nil, errorf(codes.FailedPrecondition, "container %s has exited: its limits cannot be changed", c.ID)
	}
	change := resources(r.GetLinux())
	switch windows := s.containerOS(&c) == guest.Windows; {
	case windows && r.GetWindows() != nil:
		change = s.windowsResources(r.GetWindows())
	case !windows && r.GetLinux() == nil:
		return nil, invalid("linux", "is required for a Linux container")
	}
	if err := s.runtime.UpdateContainer(ctx, c.ID, change); err != nil {
		return nil, err
	}
	return &runtimeapi.UpdateContainerResourcesResponse{}, nil
}

// containerOS is the OS of a container's pod; of one that is gone, Linux.
func (s *Server) containerOS(c *podsandbox.ContainerStatus) guest.OS {
	sb, err := s.runtime.Sandbox(c.SandboxID)
	if err != nil {
		return guest.Linux
	}
	os, ok := sb.Config.Handler.OS()
	if !ok {
		return guest.Linux
	}
	return os
}
