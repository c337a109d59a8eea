package cri

import (
	"context"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// RunPodSandbox makes and starts a pod's VM.
func (s *Server) RunPodSandbox(ctx context.Context, r *runtimeapi.RunPodSandboxRequest) (*runtimeapi.RunPodSandboxResponse, error) {
	handler, err := s.cfg.handler(r.GetRuntimeHandler())
	if err != nil {
		return nil, err
	}
	if err := s.cfg.checkSandboxConfig(r.GetConfig()); err != nil {
		return nil, err
	}
	cfg := sandboxConfig(r.GetConfig(), handler, r.GetRuntimeHandler())
	id, err := s.runtime.RunSandbox(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &runtimeapi.RunPodSandboxResponse{PodSandboxId: id}, nil
}
