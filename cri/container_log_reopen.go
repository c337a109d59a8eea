package cri

import (
	"context"

	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/podsandbox"
)

// ReopenContainerLog opens the log of a running container anew, after a rotation.
func (s *Server) ReopenContainerLog(ctx context.Context, r *runtimeapi.ReopenContainerLogRequest) (*runtimeapi.ReopenContainerLogResponse, error) {
	c, err := s.container(r.GetContainerId())
	if err != nil {
		return nil, err
	}
	if c.State != podsandbox.ContainerRunning {
		return nil, errorf(codes.FailedPrecondition, "container %s is not running: its log is not reopened", c.ID)
	}
	if err := s.runtime.ReopenLog(ctx, c.ID); err != nil {
		return nil, err
	}
	return &runtimeapi.ReopenContainerLogResponse{}, nil
}
