package podsandbox

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/paddock-run/paddock/fileshare"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

// phase is how far a record's thing is made or unmade.
type phase string

const (
	phaseMaking   phase = "making"   // a write-ahead intent
	phasePrepared phase = "prepared" // a base in the pool: no pod is in it
	phaseLive     phase = "live"     // made
	phaseStopped  phase = "stopped"  // a sandbox without VM and network
)

// sandboxRecord is what is stored of a sandbox.
type sandboxRecord struct {
	Phase phase
	VMID  string
	// Scratch is where the scratch disk is attached.
	Scratch vm.DiskAddress
	Status  SandboxStatus
}

// sandbox is one pod sandbox.
type sandbox struct {
	id, vmID string
	dir      string                        // of what belongs to it on the host
	status   atomic.Pointer[SandboxStatus] // an immutable snapshot

	// vm, agent and share are set before the sandbox is published; nil after a restart if the VM is gone.
	vm    vm.VM
	agent *agentLink
	share fileshare.Server

	disks  refTable[vm.DiskAddress] // by path
	shares refTable[struct{}]       // by share id

	propagation propagation

	// gate is passed by every user of the VM; live ends when StopSandbox begins or the VM is lost.
	gate   gate
	live   context.Context
	finish context.CancelFunc

	op       opLock
	updating opLock // UpdateSandbox

	sizing opLock  // held while the size is changed
	size   podSize // guarded by sizing; unknown after a restart, until the first change

	commit sync.Mutex
	record sandboxRecord // guarded by commit

	mu         sync.Mutex
	containers map[string]*container    // by id
	claims     map[string]Resources     // of containers being made or changed, by id
	names      map[ContainerMeta]string // reserved container names
}

func newSandbox(id, vmID, dir string, life context.Context) *sandbox {
	s := &sandbox{id: id, vmID: vmID, dir: dir, op: newOpLock(), updating: newOpLock(), sizing: newOpLock(), propagation: newPropagation(),
		containers: map[string]*container{}, claims: map[string]Resources{}, names: map[ContainerMeta]string{}}
	s.live, s.finish = context.WithCancel(life)
	return s
}

// update changes the record and the status in one step: stored, then seen. A false from change leaves all as it was.
func (m *Manager) updateSandbox(s *sandbox, change func(*sandboxRecord) bool) error {
	s.commit.Lock()
	defer s.commit.Unlock()
	next := s.record
	if !change(&next) {
		return nil
	}
	if err := m.sandboxRec.Put(s.id, &next); err != nil {
		return err
	}
	s.record = next
	status := next.Status
	s.status.Store(&status)
	return nil
}

func (s *sandbox) phase() phase {
	s.commit.Lock()
	defer s.commit.Unlock()
	return s.record.Phase
}

// enter passes the gate of a ready sandbox; the caller calls leave. ctx is merged with the sandbox's life.
func (s *sandbox) enter(ctx context.Context) (merged context.Context, leave func(), err error) {
	if s.status.Load().State != SandboxReady || s.vm == nil || !s.gate.enter() {
		return nil, nil, fmt.Errorf("%w: sandbox %s is not ready", ErrState, s.id)
	}
	merged, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(s.live, func() { cancel(fmt.Errorf("%w: sandbox %s was stopped", ErrState, s.id)) })
	return merged, func() {
		stop()
		cancel(nil)
		s.gate.leave()
	}, nil
}

func (s *sandbox) allContainers() []*container {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*container, 0, len(s.containers))
	for _, c := range s.containers {
		all = append(all, c)
	}
	return all
}

// vmRuns tells whether the VM can be asked.
func (s *sandbox) vmRuns() bool {
	if s.vm == nil {
		return false
	}
	select {
	case <-s.vm.Exited():
		return false
	default:
		return true
	}
}

// disconnect drops this process's connections; the pod goes on.
func (s *sandbox) disconnect() {
	if s.agent != nil {
		s.agent.close()
	}
	if s.share != nil {
		s.share.Close()
	}
	if s.vm != nil {
		s.vm.Close()
	}
}

// reserve claims a name for an id, and fails with ErrExists if another has it.
func reserve[N comparable](mu sync.Locker, names map[N]string, name N, id string) error {
	mu.Lock()
	defer mu.Unlock()
	if owner, taken := names[name]; taken && owner != id {
		return fmt.Errorf("%w: name %+v is reserved for %s", ErrExists, name, owner)
	}
	names[name] = id
	return nil
}

func unreserve[N comparable](mu sync.Locker, names map[N]string, name N) {
	mu.Lock()
	defer mu.Unlock()
	delete(names, name)
}
