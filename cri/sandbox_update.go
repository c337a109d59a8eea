package cri

import (
	"context"

	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/podsandbox"
)

// UpdatePodSandboxResources changes a pod's overhead and limits, and its VM's size with them.
func (s *Server) UpdatePodSandboxResources(ctx context.Context, r *runtimeapi.UpdatePodSandboxResourcesRequest) (*runtimeapi.UpdatePodSandboxResourcesResponse, error) {
	if err := checkLinuxResources("overhead", r.GetOverhead()); err != nil {
		return nil, err
	}
	if err := checkLinuxResources("resources", r.GetResources()); err != nil {
		return nil, err
	}
	sb, err := s.sandbox(r.GetPodSandboxId())
	if err != nil {
		return nil, err
	}
	if sb.State != podsandbox.SandboxReady {
		return nil, errorf(codes.FailedPrecondition, "pod sandbox %s is not ready: its limits cannot be changed", sb.ID)
	}
	if err := s.runtime.UpdateSandbox(ctx, sb.ID, podResources(r)); err != nil {
		return nil, err
	}
	return &runtimeapi.UpdatePodSandboxResourcesResponse{}, nil
}

// podResources leaves what the request does not have as it is.
func podResources(r *runtimeapi.UpdatePodSandboxResourcesRequest) podsandbox.PodResources {
	var out podsandbox.PodResources
	if o := r.GetOverhead(); o != nil {
		translated := resources(o)
		out.Overhead = &translated
	}
	if l := r.GetResources(); l != nil {
		translated := resources(l)
		out.Resources = &translated
	}
	return out
}
