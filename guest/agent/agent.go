//go:build linux

package agent

import (
	"sync"

	"github.com/paddock-run/paddock/guest/agent/disk"
	"github.com/paddock-run/paddock/guest/agent/reaper"
	"github.com/paddock-run/paddock/guest/api"
)

// Agent implements the service of guest/api.
type Agent struct {
	api.AgentService
	reaper *reaper.Reaper
	disks  *disk.Table

	mu          sync.Mutex
	poweringOff bool
}

var _ api.AgentService = (*Agent)(nil)

// New makes the agent of a VM without a pod.
func New(r *reaper.Reaper) *Agent {
	return &Agent{reaper: r, disks: disk.NewTable("/l")}
}
