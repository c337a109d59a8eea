package cri

import (
	"context"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/podsandbox"
)

// PodSandboxStatus tells of a sandbox and its containers, as of one moment.
func (s *Server) PodSandboxStatus(_ context.Context, r *runtimeapi.PodSandboxStatusRequest) (*runtimeapi.PodSandboxStatusResponse, error) {
	// The time is taken first: what is told is at least as new as it says.
	now := time.Now()
	st, err := s.sandbox(r.GetPodSandboxId())
	if err != nil {
		return nil, err
	}
	resp := &runtimeapi.PodSandboxStatusResponse{
		Status:    sandboxStatus(&st),
		Timestamp: now.UnixNano(),
	}
	for _, c := range s.runtime.Containers() {
		if c.SandboxID == st.ID {
			resp.ContainersStatuses = append(resp.ContainersStatuses, s.containerStatus(&c))
		}
	}
	if r.GetVerbose() {
		resp.Info = sandboxInfo(&st)
	}
	return resp, nil
}

// timelineStep is a step of a start in verbose info.
type timelineStep struct {
	Name     string    `json:"name"`
	Start    time.Time `json:"start"`
	Duration string    `json:"duration"`
}

// sandboxInfo is what verbose status adds, each value JSON.
func sandboxInfo(st *podsandbox.SandboxStatus) map[string]string {
	steps := make([]timelineStep, 0, len(st.Timeline))
	for _, t := range st.Timeline {
		steps = append(steps, timelineStep{Name: t.Name, Start: t.Start, Duration: t.Duration.String()})
	}
	info := map[string]string{
		"config":   toJSON(st.Config),
		"kernel":   toJSON(st.Kernel),
		"timeline": toJSON(steps),
		"reason":   toJSON(st.Reason),
	}
	if st.Network != nil {
		info["network"] = toJSON(networkInfo(st))
	}
	return info
}
