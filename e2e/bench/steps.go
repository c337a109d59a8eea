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

// timelineStep is a step as verbose status has it.
type timelineStep struct {
	Name     string
	Start    time.Time
	Duration string
}

// startSteps asks for a sandbox's timeline; nil when the runtime has none.
func startSteps(ctx context.Context, c *criclient.Client, podID string) []Step {
	r, err := c.Runtime.PodSandboxStatus(ctx, &runtimeapi.PodSandboxStatusRequest{PodSandboxId: podID, Verbose: true})
	if err != nil {
		return nil
	}
	var told []timelineStep
	if json.Unmarshal([]byte(r.Info["timeline"]), &told) != nil {
		return nil
	}
	var steps []Step
	for _, t := range told {
		if d, err := time.ParseDuration(t.Duration); err == nil {
			steps = append(steps, Step{Name: t.Name, Start: t.Start, Duration: d})
		}
	}
	return steps
}
