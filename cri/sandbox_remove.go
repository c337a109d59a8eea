package cri

import (
	"context"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// RemovePodSandbox removes all of a pod. An unknown id succeeds.
func (s *Server) RemovePodSandbox(ctx context.Context, r *runtimeapi.RemovePodSandboxRequest) (*runtimeapi.RemovePodSandboxResponse, error) {
	id, err := s.sandboxID(r.GetPodSandboxId())
	if err != nil {
		return nil, err
	}
	if err := s.runtime.RemoveSandbox(ctx, id); err != nil {
		return nil, err
	}
	s.stats.forget(id)
	return &runtimeapi.RemovePodSandboxResponse{}, nil
}
