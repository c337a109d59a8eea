//go:build linux

package agent

import (
	"path/filepath"
	"sync"

	"github.com/paddock-run/paddock/guest/agent/boot"
	"github.com/paddock-run/paddock/guest/agent/disk"
	"github.com/paddock-run/paddock/guest/api"
)

// container is one container of the pod.
type container struct {
	id    string
	init  *process
	mode  api.PIDMode
	pod   *podNamespaces // nil: the VM's own
	user  *api.ResolvedUser
	home  string
	spec  specDefaults
	disks []disk.Address // each a use to release
	// windows is what an exec takes from the container when Wine runs it; nil for a Linux container.
	windows *api.WindowsProcess

	created chan struct{} // closed when CreateContainer has ended, well or not

	removing sync.Mutex // held while it is taken away
	deleted  bool

	mu      sync.Mutex
	state   api.ProcessState
	started int64
	execs   map[string]*process
	execSeq int
}

// dir holds the container's bundle and what the runtime needs to start its processes.
func (c *container) dir() string    { return filepath.Join(runDir, "c", c.id) }
func (c *container) rootfs() string { return filepath.Join(c.dir(), "rootfs") }
func (c *container) cgroup() string { return filepath.Join(boot.PodCgroup, c.id) }

// writable is the container's own directory on the scratch disk.
func (c *container) writable() string { return filepath.Join(upperDir, c.id) }

func (c *container) getState() api.ProcessState {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// container finds a container that CreateContainer has finished.
func (a *Agent) container(id string) (*container, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.containers[id]
	if c == nil || c.getState() == api.ProcessState_PROCESS_STATE_UNSPECIFIED {
		return nil, notFound("no container %q", id)
	}
	return c, nil
}

// process finds a container's init process, or one of its execs.
func (a *Agent) process(containerID, execID string) (*container, *process, error) {
	c, err := a.container(containerID)
	if err != nil {
		return nil, nil, err
	}
	if execID == "" {
		return c, c.init, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.execs[execID]
	if p == nil || p.pid() == 0 {
		return nil, nil, notFound("no exec %q in container %q", execID, containerID)
	}
	return c, p, nil
}
