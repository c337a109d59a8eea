package podsandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"k8s.io/klog/v2"

	guestapi "github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

const (
	// killTime is how long StopSandbox waits for killed containers, to have their exit codes and last lines.
	killTime = 10 * time.Second
	// powerOffTime is how long the guest has to write back to shares and power off.
	powerOffTime = 10 * time.Second
)

// watch follows a sandbox that is ready from now on.
func (m *Manager) watch(s *sandbox) {
	m.spawn(func() { m.watchVM(s) })
	if s.status.Load().Config.onHostNetwork() {
		m.spawn(func() { m.watchPorts(s) })
	}
}

// watchVM waits for a sandbox's VM to end and says so at once.
func (m *Manager) watchVM(s *sandbox) {
	select {
	case <-s.vm.Exited():
	case <-m.life.Done():
		return
	}
	m.vmEnded(s, s.vm.ExitReason())
	ctx, cancel := context.WithTimeout(m.life, undoTime)
	defer cancel()
	s.withdrawMounts(ctx)
	if s.share != nil {
		s.share.Close() // not to be started again when it ends for want of a guest
	}
}

// vmEnded marks a sandbox whose VM is gone, and all its containers.
func (m *Manager) vmEnded(s *sandbox, exit vm.Exit) {
	s.finish()
	e := vmEnding(exit)
	for _, c := range s.allContainers() {
		m.exited(c, e)
	}
	m.notReady(s, e.message)
}

// vmEnding is how a container ended whose VM did.
func vmEnding(exit vm.Exit) ending {
	if exit.Time.IsZero() {
		exit.Time = time.Now()
	}
	return ending{code: codeUnknown, reason: reasonVMExited, message: "the pod's VM ended: " + exitText(exit), at: exit.Time}
}

// notReady marks a sandbox once.
func (m *Manager) notReady(s *sandbox, reason string) {
	changed := false
	err := m.updateSandbox(s, func(r *sandboxRecord) bool {
		changed = r.Status.State != SandboxNotReady
		if changed {
			r.Status.State, r.Status.Reason = SandboxNotReady, reason
		}
		return changed
	})
	if err != nil {
		klog.ErrorS(err, "Cannot store that a sandbox is not ready", "sandbox", s.id)
	}
	if err == nil && changed {
		m.emit(EventStopped, s, s.id, false)
	}
}

func exitText(e vm.Exit) string {
	text := map[vm.ExitKind]string{
		vm.ExitShutdown: "it powered off", vm.ExitTerminated: "it was terminated", vm.ExitCrash: "its kernel crashed",
		vm.ExitKilled: "its host process was killed or failed", vm.ExitHostLost: "the host's VM service is gone",
	}[e.Kind]
	switch {
	case text == "":
		return e.Detail
	case e.Detail == "":
		return text
	}
	return text + " (" + e.Detail + ")"
}

// StopSandbox kills its containers, tears its network down and ends its VM.
func (m *Manager) StopSandbox(ctx context.Context, id string) error {
	s, err := m.sandbox(id)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := s.op.lock(ctx); err != nil {
		return err
	}
	defer s.op.unlock()
	if err := m.stopSandbox(ctx, s); err != nil {
		return fmt.Errorf("stop sandbox %s: %w", s.id, err)
	}
	return nil
}

// stopSandbox takes everything of a sandbox off the host but its records. Each step may be repeated. Callers hold s.op.
func (m *Manager) stopSandbox(ctx context.Context, s *sandbox) error {
	if s.phase() == phaseStopped {
		return nil
	}
	m.killContainers(ctx, s)
	s.finish()
	if err := s.gate.close(ctx); err != nil {
		return err
	}
	m.notReady(s, "stopped")
	m.tellSandboxStopped(ctx, s)
	if s.vmRuns() { // else it is being done, as soon as the VM has ended
		s.withdrawMounts(ctx)
	}
	if err := m.takeApart(ctx, s); err != nil {
		return err
	}
	for _, c := range s.allContainers() {
		m.exited(c, ending{code: codeKilled, reason: reasonError, message: "the pod was stopped", at: time.Now()})
	}
	return m.updateSandbox(s, func(r *sandboxRecord) bool {
		r.Phase = phaseStopped
		r.Status.Network = nil
		return true
	})
}

// takeApart ends the VM and removes the rest: the network at the same time, for its
// plugins take as long as the guest does.
func (m *Manager) takeApart(ctx context.Context, s *sandbox) error {
	network := make(chan error, 1)
	go func() {
		err := m.deps.Network.Teardown(ctx, s.id)
		if err != nil {
			err = fmt.Errorf("network: %w", err)
		}
		network <- err
	}()
	err := m.powerOff(ctx, s)
	if err := errors.Join(err, <-network); err != nil {
		return err
	}
	return m.dismantleRest(ctx, s.id)
}

// killContainers ends what runs, so that exit codes and last lines are true. What does not end in time ends with the VM.
func (m *Manager) killContainers(ctx context.Context, s *sandbox) {
	if !s.vmRuns() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, killTime)
	defer cancel()
	var parts sync.WaitGroup
	for _, c := range s.allContainers() {
		if c.state() != ContainerRunning {
			continue
		}
		parts.Go(func() {
			if err := m.stopContainer(ctx, c, 0); err != nil {
				klog.FromContext(ctx).Error(err, "Container is ended with its VM", "container", c.id)
			}
		})
	}
	parts.Wait()
}

// powerOff ends the VM. First the guest writes back to its shares; nothing else
// in it need outlive the pod.
func (m *Manager) powerOff(ctx context.Context, s *sandbox) error {
	if s.vm == nil { // it could not be opened when the daemon started
		return m.removeVM(ctx, s.vmID)
	}
	if s.vmRuns() {
		asking, cancel := context.WithTimeout(ctx, powerOffTime)
		err := s.agent.retry(asking, func(conn *agentConn) error {
			_, err := conn.Shutdown(asking, &guestapi.ShutdownRequest{KeepPower: true})
			return fromAgent(err)
		})
		cancel()
		if err != nil && s.vmRuns() {
			klog.FromContext(ctx).Error(err, "Guest does not write back to its shares: ending it", "sandbox", s.id)
		}
	}
	s.agent.close()
	return endVM(ctx, s.vm)
}

// dismantle removes what of a sandbox is on the host beside its VM. It needs only the id.
func (m *Manager) dismantle(ctx context.Context, id string) error {
	if err := m.deps.Network.Teardown(ctx, id); err != nil {
		return fmt.Errorf("network: %w", err)
	}
	return m.dismantleRest(ctx, id)
}

// dismantleRest is dismantle without the network.
func (m *Manager) dismantleRest(ctx context.Context, id string) error {
	if err := m.deps.Shares.Stop(ctx, id); err != nil {
		return fmt.Errorf("share server: %w", err)
	}
	if err := os.RemoveAll(m.sandboxDir(id)); err != nil {
		return fmt.Errorf("sandbox folder: %w", err)
	}
	return nil
}

// RemoveSandbox stops it if need be and removes all of it, containers included.
func (m *Manager) RemoveSandbox(ctx context.Context, id string) error {
	s, err := m.sandbox(id)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := s.op.lock(ctx); err != nil {
		return err
	}
	defer s.op.unlock()
	if _, err := m.sandbox(s.id); err != nil {
		return nil // another call was first
	}
	if err := m.removeSandbox(ctx, s); err != nil {
		return fmt.Errorf("remove sandbox %s: %w", s.id, err)
	}
	return nil
}

func (m *Manager) removeSandbox(ctx context.Context, s *sandbox) error {
	if err := m.stopSandbox(ctx, s); err != nil {
		return err
	}
	for _, c := range s.allContainers() {
		if err := m.RemoveContainer(ctx, c.id); err != nil {
			return err
		}
	}
	if err := m.sandboxRec.Delete(s.id); err != nil {
		return err
	}
	m.hooks.RemoveSandbox(ctx, s.status.Load())
	m.mu.Lock()
	delete(m.sandboxes, s.id)
	delete(m.names, s.status.Load().Config.Meta)
	m.mu.Unlock()
	m.emit(EventDeleted, s, s.id, true)
	return nil
}
