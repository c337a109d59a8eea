package cri

import (
	"context"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	runtimeName = "paddock"
	// kubeAPIVersion is the version of kubelet's own runtime API; it has been this since CRI began.
	kubeAPIVersion = "0.1.0"
	criVersion     = "v1"
)

// Version tells the runtime's name and versions.
func (s *Server) Version(context.Context, *runtimeapi.VersionRequest) (*runtimeapi.VersionResponse, error) {
	return &runtimeapi.VersionResponse{
		Version:           kubeAPIVersion,
		RuntimeName:       runtimeName,
		RuntimeVersion:    s.cfg.Version,
		RuntimeApiVersion: criVersion,
	}, nil
}
