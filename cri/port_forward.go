package cri

import (
	"context"

	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/podsandbox"
)

// PortForward answers the URL where connections to the pod's localhost are served, once.
func (s *Server) PortForward(_ context.Context, r *runtimeapi.PortForwardRequest) (*runtimeapi.PortForwardResponse, error) {
	if err := checkPortForward(r); err != nil {
		return nil, err
	}
	sb, err := s.runtime.Sandbox(r.GetPodSandboxId())
	if err != nil {
		return nil, err
	}
	if sb.State != podsandbox.SandboxReady {
		return nil, errorf(codes.FailedPrecondition, "pod sandbox %s is not ready: %s", sb.ID, sb.Reason)
	}
	r.PodSandboxId = sb.ID
	return s.streaming.portForward(r)
}
