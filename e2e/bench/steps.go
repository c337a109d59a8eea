package bench

import (
	"context"
	"encoding/json"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/e2e/criclient"
)

// Step is one timed step of a pod's start, as Paddock tells it.
type Step struct {
	Name     string
	Start    time.Time
	Duration time.Duration
}

// startSteps asks for a sandbox's timeline; nil when the runtime has none.
func startSteps(ctx context.Context, c *criclient.Client, podID string) []Step {
	r, err := c.Runtime.PodSandboxStatus(ctx, &runtimeapi.PodSandboxStatusRequest{PodSandboxId: podID, Verbose: true})
	if err != nil {
		return nil
	}
	var steps []Step
	for _, key := range []string{"timeline", "info"} {
		if json.Unmarshal([]byte(r.Info[key]), &steps) == nil && len(steps) > 0 {
			return steps
		}
		var info struct{ Timeline []Step }
		if json.Unmarshal([]byte(r.Info[key]), &info) == nil && len(info.Timeline) > 0 {
			return info.Timeline
		}
	}
	return nil
}
