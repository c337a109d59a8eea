package podsandbox

import (
	"sync"
	"sync/atomic"

	"github.com/paddock-run/paddock/podsandbox/vm"
)

// containerRecord is what is stored of a container.
type containerRecord struct {
	Phase  phase
	Status ContainerStatus
	// Disks and Shares are what the container uses of its VM, to let go of at its end.
	Disks  []diskUse
	Shares []string
	// Update is a change of limits that is under way.
	Update *Resources
	// Outward are those of Shares that are mounted bidirectionally, with their host paths.
	Outward map[string]string
	// LogDone: all output is in the log.
	LogDone bool
}

// diskUse is one attached disk.
type diskUse struct {
	Path    string
	Address vm.DiskAddress
}

// container is one container of a sandbox.
type container struct {
	id      string
	sandbox *sandbox
	status  atomic.Pointer[ContainerStatus] // an immutable snapshot

	op     opLock // Create, Start, Update, Remove, and telling hooks of the end
	limits opLock // setting limits; taken last

	commit sync.Mutex
	record containerRecord // guarded by commit

	// exited is closed when the status is Exited.
	exited chan struct{}
	// out pumps output; nil until the container is created in the guest.
	out *outputPump
}

func newContainer(id string, s *sandbox) *container {
	return &container{id: id, sandbox: s, op: newOpLock(), limits: newOpLock(), exited: make(chan struct{})}
}

// updateContainer changes record and status in one step: stored, then seen. A
// false from change leaves all as it was. changed tells which.
func (m *Manager) updateContainer(c *container, change func(*containerRecord) bool) (changed bool, err error) {
	c.commit.Lock()
	defer c.commit.Unlock()
	next := c.record
	if !change(&next) {
		return false, nil
	}
	if err := m.ctrRec.Put(c.id, &next); err != nil {
		return false, err
	}
	c.show(next)
	return true, nil
}

// show makes a record the present one. Callers hold commit or own c.
func (c *container) show(next containerRecord) {
	was := c.record.Status.State
	c.record = next
	status := next.Status
	c.status.Store(&status)
	if status.State == ContainerExited && was != ContainerExited {
		close(c.exited)
	}
}

func (c *container) state() ContainerStateKind { return c.status.Load().State }

func (c *container) closeLog() {
	if c.out != nil {
		c.out.close()
	}
}
