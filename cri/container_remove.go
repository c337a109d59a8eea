package cri

import (
	"context"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// RemoveContainer removes a container, killing it if need be. An unknown id succeeds.
func (s *Server) RemoveContainer(ctx context.Context, r *runtimeapi.RemoveContainerRequest) (*runtimeapi.RemoveContainerResponse, error) {
	id, err := s.containerID(r.GetContainerId())
	if err != nil {
		return nil, err
	}
	if err := s.runtime.RemoveContainer(ctx, id); err != nil {
		return nil, err
	}
	s.stats.forget(id)
	return &runtimeapi.RemoveContainerResponse{}, nil
}
