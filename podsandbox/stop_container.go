package podsandbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	guestapi "github.com/paddock-run/paddock/guest/api"
)

// StopContainer signals, waits for at most grace, then kills. Any number may go on at once.
func (m *Manager) StopContainer(ctx context.Context, id string, grace time.Duration) error {
	c, err := m.container(id)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if c.state() != ContainerRunning {
		return nil
	}
	if err := m.stopContainer(ctx, c, grace); err != nil {
		return fmt.Errorf("stop container %s: %w", c.id, err)
	}
	telling, cancel := context.WithTimeout(ctx, tellTime)
	defer cancel()
	m.tellStopped(telling, c)
	return nil
}

func (m *Manager) stopContainer(ctx context.Context, c *container, grace time.Duration) error {
	if grace > 0 {
		stop, err := parseStop(c.status.Load().StopSignal, c.sandbox.os())
		if err != nil { // an image's, which nobody checked
			stop, _ = parseStop("", c.sandbox.os())
		}
		if err := c.signal(ctx, stop, false); err != nil {
			return err
		}
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-c.exited:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-timer.C:
		}
	}
	if err := c.signal(ctx, stopRequest{signal: sigKill}, true); err != nil {
		return err
	}
	select {
	case <-c.exited:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("killed, but not ended yet: %w", context.Cause(ctx))
	}
}

// signal signals the container's process, or all of them. One that has ended is fine.
func (c *container) signal(ctx context.Context, stop stopRequest, all bool) error {
	err := c.sandbox.agent.retry(ctx, func(conn *agentConn) error {
		_, err := conn.SignalProcess(ctx, &guestapi.SignalProcessRequest{ContainerId: c.id, Signal: stop.signal, Event: stop.event, All: all})
		return fromAgent(err)
	})
	if err == nil || errors.Is(err, ErrNotFound) || !c.sandbox.vmRuns() {
		return nil
	}
	return fmt.Errorf("%v: %w", stop, err)
}

// RemoveContainer kills it if need be and removes it.
func (m *Manager) RemoveContainer(ctx context.Context, id string) error {
	c, err := m.container(id)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := c.op.lock(ctx); err != nil {
		return err
	}
	defer c.op.unlock()
	if _, err := m.container(c.id); err != nil {
		return nil // another call was first
	}
	if err := m.removeContainer(ctx, c); err != nil {
		return fmt.Errorf("remove container %s: %w", c.id, err)
	}
	return nil
}

// removeContainer removes all of a container. Each step may be repeated. Callers hold c.op.
func (m *Manager) removeContainer(ctx context.Context, c *container) error {
	s := c.sandbox
	if c.state() == ContainerRunning && s.vmRuns() {
		if err := m.stopContainer(ctx, c, 0); err != nil {
			return err
		}
	}
	if err := s.deleteInGuest(ctx, c.id); err != nil {
		return err
	}
	if c.state() == ContainerCreated {
		m.exited(c, ending{code: codeKilled, reason: reasonError, message: "removed before it was started", at: time.Now()})
	}
	if err := m.releaseUses(ctx, c); err != nil {
		return err
	}
	if err := removeOwnScratch(c); err != nil {
		return err
	}
	if err := m.deps.Images.ReleaseLayers(ctx, c.id); err != nil {
		return err
	}
	if err := m.dropLog(c); err != nil {
		return err
	}
	if err := m.ctrRec.Delete(c.id); err != nil {
		return err
	}
	m.hooks.RemoveContainer(ctx, c.status.Load())
	m.mu.Lock()
	delete(m.containers, c.id)
	m.mu.Unlock()
	s.mu.Lock()
	delete(s.containers, c.id)
	delete(s.names, c.status.Load().Config.Meta)
	s.mu.Unlock()
	m.emit(EventDeleted, s, c.id, false)
	return nil
}
