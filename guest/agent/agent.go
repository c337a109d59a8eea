//go:build linux

package agent

import (
	"sync"

	"github.com/paddock-run/paddock/guest/agent/crun"
	"github.com/paddock-run/paddock/guest/agent/disk"
	"github.com/paddock-run/paddock/guest/agent/fusepump"
	"github.com/paddock-run/paddock/guest/agent/mountserver"
	"github.com/paddock-run/paddock/guest/agent/reaper"
	"github.com/paddock-run/paddock/guest/api"
)

// Agent implements the service of guest/api.
type Agent struct {
	reaper  *reaper.Reaper
	runtime *crun.Runtime
	disks   *disk.Table
	shares  fusepump.Manager
	sandbox sandbox
	mounts  *mountWatch
	exports *mountserver.Client

	mu          sync.Mutex
	containers  map[string]*container // also those being created
	attached    map[string]bool       // shares that are mounted
	poweringOff bool
}

var _ api.AgentService = (*Agent)(nil)

// runtimeProgram is the OCI runtime of the guest image.
const runtimeProgram = "/usr/bin/crun"

// New makes the agent of a VM without a pod. emulated: the machine's processor is
// a program that translates code.
func New(r *reaper.Reaper, emulated bool) (*Agent, error) {
	program, err := crun.Seal(runtimeProgram)
	if err != nil {
		return nil, err
	}
	a := &Agent{
		reaper:     r,
		runtime:    &crun.Runtime{Program: program, Root: "/run/crun", Reaper: r, FixedAddresses: emulated},
		disks:      disk.NewTable("/l"),
		mounts:     newMountWatch(),
		containers: map[string]*container{},
		attached:   map[string]bool{},
	}
	a.exports = mountserver.NewClient(a.startMountServer)
	return a, nil
}
