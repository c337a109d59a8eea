package podsandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/klog/v2"

	guestapi "github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/podsandbox/logfile"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

const (
	// recoverTime bounds the taking over of one sandbox.
	recoverTime = 30 * time.Second
	// recoverAtOnce is how many sandboxes are taken over in parallel.
	recoverAtOnce = 16
)

// recover takes over what the store knows of, and removes what it does not.
func (m *Manager) recover(ctx context.Context) error {
	sandboxes, err := m.sandboxRec.All()
	if err != nil {
		return err
	}
	records, err := m.ctrRec.All()
	if err != nil {
		return err
	}
	bySandbox := map[string][]*containerRecord{}
	for id, r := range records {
		if sandboxes[r.Status.SandboxID] == nil { // its sandbox was removed, its own record not yet
			if err := m.ctrRec.Delete(id); err != nil {
				return err
			}
			continue
		}
		bySandbox[r.Status.SandboxID] = append(bySandbox[r.Status.SandboxID], r)
	}
	var all errgroup.Group
	all.SetLimit(recoverAtOnce)
	for id, r := range sandboxes {
		all.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, recoverTime)
			defer cancel()
			if err := m.recoverSandbox(ctx, r, bySandbox[id]); err != nil {
				return fmt.Errorf("take over sandbox %s: %w", id, err)
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		return err
	}
	return m.reap(ctx)
}

// recoverSandbox takes one sandbox over. What fails on the host or in the guest
// makes it NotReady; only the store's own failure is an error.
func (m *Manager) recoverSandbox(ctx context.Context, r *sandboxRecord, containers []*containerRecord) error {
	id := r.Status.ID
	if r.Phase == phaseMaking || r.Phase == phasePrepared && !m.pool.adopt(ctx, r) {
		return m.undoIntent(ctx, r, containers)
	}
	if r.Phase == phasePrepared {
		return nil
	}
	s := newSandbox(id, r.VMID, m.sandboxDir(id), m.life)
	s.record, s.size = *r, unknownSize
	status := r.Status
	s.status.Store(&status)
	m.mu.Lock()
	m.sandboxes[id] = s
	m.names[status.Config.Meta] = id
	m.mu.Unlock()

	lost := ""
	if r.Phase == phaseLive {
		lost = m.reconnect(ctx, s)
	}
	live := r.Phase == phaseLive && lost == ""
	states, err := m.guestStates(ctx, s, live)
	if err != nil {
		live, lost = false, "its agent does not answer: "+err.Error()
	}
	if live { // all users first: undoing one must not detach what another uses
		for _, c := range containers {
			s.restoreUses(c)
		}
	}
	for _, c := range containers {
		if err := m.recoverContainer(ctx, s, c, states, live); err != nil {
			return err
		}
	}
	switch {
	case r.Phase == phaseStopped:
		return nil
	case live:
		m.watch(s)
		m.spawn(func() { m.settleSize(s) })
		m.followMounts(s)
		return nil
	}
	exit := vm.Exit{Detail: lost}
	if s.vm != nil && !s.vmRuns() {
		exit = s.vm.ExitReason()
	}
	m.vmEnded(s, exit)
	return nil
}

// undoIntent removes what a sandbox that was being made left.
func (m *Manager) undoIntent(ctx context.Context, r *sandboxRecord, containers []*containerRecord) error {
	id := r.Status.ID
	err := m.removeVM(ctx, r.VMID)
	if err == nil {
		err = m.dismantle(ctx, id)
	}
	if err != nil {
		klog.ErrorS(err, "A half-made sandbox is not removed yet: the next start tries again", "sandbox", id)
		return nil
	}
	for _, c := range containers {
		if err := m.ctrRec.Delete(c.Status.ID); err != nil {
			return err
		}
	}
	return m.sandboxRec.Delete(id)
}

// removeVM ends and removes a VM of an earlier process; none is fine.
func (m *Manager) removeVM(ctx context.Context, id string) error {
	machine, err := m.deps.VMs.Open(ctx, id)
	if errors.Is(err, vm.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open VM %s: %w", id, err)
	}
	return endVM(ctx, machine)
}

// reconnect finds a live sandbox's VM and share server; why tells what is lost.
func (m *Manager) reconnect(ctx context.Context, s *sandbox) (why string) {
	machine, err := m.deps.VMs.Open(ctx, s.vmID)
	if err != nil {
		return "it was gone when the daemon started: " + err.Error()
	}
	s.vm = machine
	s.agent = newAgentLink(machine, m.cfg.HostVersion)
	if !s.vmRuns() {
		return "it ended while the daemon was away"
	}
	if _, err := m.deps.Network.Open(ctx, s.id); err != nil {
		klog.ErrorS(err, "A sandbox's network cannot be found; it goes on as stored", "sandbox", s.id)
	}
	if s.status.Load() != nil && m.windowsGuest(s.os()) { // a base has no pod yet
		return ""
	}
	s.share, err = m.deps.Shares.Open(ctx, s.id)
	if err != nil { // not even its files are there: its shares are broken, but new ones can work
		klog.ErrorS(err, "A sandbox's share server is lost: mounts of host paths fail", "sandbox", s.id)
		if s.share, err = m.deps.Shares.Start(ctx, s.id, machine.ShareChannel()); err != nil {
			klog.ErrorS(err, "Cannot start a share server", "sandbox", s.id)
			s.share = nil
		}
	}
	return ""
}

// guestStates asks the agent for its containers.
func (m *Manager) guestStates(ctx context.Context, s *sandbox, live bool) (map[string]*guestapi.ContainerState, error) {
	states := map[string]*guestapi.ContainerState{}
	if !live {
		return states, nil
	}
	err := s.agent.retry(ctx, func(conn *agentConn) error {
		answer, err := conn.ListContainers(ctx, &guestapi.ListContainersRequest{})
		for _, c := range answer.GetContainers() {
			states[c.Id] = c
		}
		return fromAgent(err)
	})
	return states, err
}

func (s *sandbox) restoreUses(r *containerRecord) {
	for _, use := range r.Disks {
		s.disks.restore(use.Path, use.Address)
	}
	for _, share := range r.Shares {
		s.shares.restore(share, struct{}{})
	}
}

// recoverContainer takes one container over, or undoes a half-made one.
func (m *Manager) recoverContainer(ctx context.Context, s *sandbox, r *containerRecord, states map[string]*guestapi.ContainerState, live bool) error {
	c := newContainer(r.Status.ID, s)
	c.show(*r)
	if r.Phase == phaseMaking {
		return m.undoContainerIntent(ctx, c)
	}
	s.mu.Lock()
	s.names[r.Status.Config.Meta] = c.id
	s.mu.Unlock()
	log, err := logfile.Resume(r.Status.LogPath, m.logRecordPath(c.id))
	if err != nil {
		klog.ErrorS(err, "Cannot take up a container's log: its output is not kept", "container", c.id)
		if log, err = logfile.Create("", m.logRecordPath(c.id)); err != nil {
			return err
		}
	}
	c.out = newOutputPump(c, log)
	m.publishContainer(c)
	if !live {
		return nil // vmEnded marks it
	}
	m.reconcile(c, states[c.id])
	return nil
}

func (m *Manager) undoContainerIntent(ctx context.Context, c *container) error {
	if err := c.sandbox.deleteInGuest(ctx, c.id); err != nil {
		klog.ErrorS(err, "A half-made container is not removed from its guest", "container", c.id)
	}
	if err := m.releaseUses(ctx, c); err != nil {
		return err
	}
	if err := removeOwnScratch(c); err != nil {
		klog.ErrorS(err, "Cannot remove a container's disk: it goes with the sandbox", "container", c.id)
	}
	if err := m.deps.Images.ReleaseLayers(ctx, c.id); err != nil {
		klog.ErrorS(err, "Cannot release an image", "container", c.id)
	}
	if err := os.Remove(m.logRecordPath(c.id)); err != nil && !os.IsNotExist(err) {
		return err
	}
	return m.ctrRec.Delete(c.id)
}

// reconcile brings a container's stored state up to what its guest says.
func (m *Manager) reconcile(c *container, guest *guestapi.ContainerState) {
	state := c.state()
	switch {
	case state == ContainerExited:
		if guest != nil && !c.record.LogDone && !c.status.Load().Started.IsZero() {
			m.startPump(c.out)
		}
	case guest == nil:
		m.exited(c, ending{code: codeUnknown, reason: reasonUnknown, message: "the guest does not know the container", at: time.Now()})
	case state == ContainerCreated && guest.State == guestapi.ProcessState_PROCESS_STATE_CREATED:
	case state == ContainerCreated: // started, and not noted
		if err := m.started(c, guest.StartedUnixNanos); err != nil {
			klog.ErrorS(err, "Cannot store a container's start", "container", c.id)
		}
	default: // runs, or ended while the daemon was away: the watcher learns which
		m.startPump(c.out)
		m.spawn(func() { m.watchExit(c) })
	}
}
