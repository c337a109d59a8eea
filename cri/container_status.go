package cri

import (
	"context"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/podsandbox"
)

// ContainerStatus tells of a container.
func (s *Server) ContainerStatus(_ context.Context, r *runtimeapi.ContainerStatusRequest) (*runtimeapi.ContainerStatusResponse, error) {
	st, err := s.container(r.GetContainerId())
	if err != nil {
		return nil, err
	}
	resp := &runtimeapi.ContainerStatusResponse{Status: s.containerStatus(&st)}
	if r.GetVerbose() {
		resp.Info = containerInfo(&st)
	}
	return resp, nil
}

// containerInfo is what verbose status adds, each value JSON.
func containerInfo(st *podsandbox.ContainerStatus) map[string]string {
	info := map[string]string{
		"sandboxID": toJSON(st.SandboxID),
		"config":    toJSON(st.Config),
	}
	if st.User != nil {
		info["user"] = toJSON(st.User)
	}
	if len(st.MountImages) > 0 {
		info["mountImages"] = toJSON(st.MountImages)
	}
	return info
}
