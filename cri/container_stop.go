package cri

import (
	"context"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// StopContainer signals a container's process and kills it after the timeout
// (0: at once). A stopped or unknown container succeeds.
func (s *Server) StopContainer(ctx context.Context, r *runtimeapi.StopContainerRequest) (*runtimeapi.StopContainerResponse, error) {
	if err := checkTimeout(r.GetTimeout()); err != nil {
		return nil, err
	}
	id, err := s.containerID(r.GetContainerId())
	if err != nil {
		return nil, err
	}
	if err := s.runtime.StopContainer(ctx, id, time.Duration(r.GetTimeout())*time.Second); err != nil {
		return nil, err
	}
	return &runtimeapi.StopContainerResponse{}, nil
}
