package podsandbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/klog/v2"

	guestapi "github.com/paddock-run/paddock/guest/api"
)

// Reasons of a container's end.
const (
	reasonCompleted  = "Completed"
	reasonError      = "Error"
	reasonOOMKilled  = "OOMKilled"
	reasonStartError = "StartError"
	reasonVMExited   = "VMExited"
	reasonUnknown    = "ContainerStatusUnknown"
)

// Exit codes that no process gave.
const (
	codeStartError = 128
	codeKilled     = 128 + sigKill
	codeUnknown    = 255
)

// StartContainer runs a created container's process. If that fails the container has ended with StartError.
func (m *Manager) StartContainer(ctx context.Context, id string) error {
	c, err := m.container(id)
	if err != nil {
		return err
	}
	if err := c.op.lock(ctx); err != nil {
		return err
	}
	defer c.op.unlock()
	if c.state() != ContainerCreated {
		return stateError(c, "only a created container can be started")
	}
	ctx, leave, err := c.sandbox.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	defer m.pool.makes()()
	if err := m.hooks.StartContainer(ctx, c.status.Load()); err != nil {
		m.startFailed(c, err)
		return fmt.Errorf("start container %s: %w", c.id, err)
	}
	var answer *guestapi.StartContainerResponse
	err = c.sandbox.agent.once(ctx, func(conn *agentConn) (err error) {
		answer, err = conn.StartContainer(ctx, &guestapi.StartContainerRequest{Id: c.id})
		return fromAgent(err)
	})
	if err != nil {
		m.startFailed(c, err)
		return fmt.Errorf("start container %s: %w", c.id, err)
	}
	if err := m.started(c, answer.StartedUnixNanos); err != nil {
		return err
	}
	m.hooks.ContainerStarted(ctx, c.status.Load())
	return nil
}

// started notes that a container runs, and begins to watch it.
func (m *Manager) started(c *container, guestNanos int64) error {
	changed, err := m.updateContainer(c, func(r *containerRecord) bool {
		if r.Status.State != ContainerCreated {
			return false
		}
		r.Status.State = ContainerRunning
		r.Status.Started = sane(guestNanos, r.Status.Created)
		return true
	})
	if err != nil {
		return err
	}
	if !changed {
		return stateError(c, "it ended while it was started")
	}
	m.startPump(c.out)
	m.spawn(func() { m.watchExit(c) })
	m.emit(EventStarted, c.sandbox, c.id, false)
	return nil
}

// startFailed ends a container whose process could not be started; an answer that never came may have started it.
func (m *Manager) startFailed(c *container, cause error) {
	ctx, cancel := context.WithTimeout(m.life, undoTime)
	defer cancel()
	if err := c.sandbox.deleteInGuest(ctx, c.id); err != nil {
		klog.ErrorS(err, "Cannot delete a container that did not start", "container", c.id)
	}
	m.exited(c, ending{code: codeStartError, reason: reasonStartError, message: cause.Error(), at: time.Now()})
}

// ending is how a container ended.
type ending struct {
	code            int32
	reason, message string
	at              time.Time
}

// exited notes a container's end; the first one counts.
func (m *Manager) exited(c *container, e ending) {
	changed, err := m.updateContainer(c, func(r *containerRecord) bool {
		st := &r.Status
		if st.State == ContainerExited {
			return false
		}
		st.State, st.Finished, st.ExitCode = ContainerExited, e.at, e.code
		st.Reason, st.Message = e.reason, e.message
		return true
	})
	if err != nil {
		klog.ErrorS(err, "Cannot store a container's end", "container", c.id)
		return
	}
	if changed {
		m.emit(EventStopped, c.sandbox, c.id, false)
		m.spawn(func() { m.tellStopped(m.life, c) })
	}
}

// sane is a time told by a guest, kept within what the host knows: after since, and not in the future.
func sane(guestNanos int64, since time.Time) time.Time {
	at, now := time.Unix(0, guestNanos), time.Now()
	switch {
	case guestNanos <= 0 || at.After(now):
		return now
	case at.Before(since):
		return since
	}
	return at
}

// watchExit waits for a container's process to end, over lost connections, and notes how.
func (m *Manager) watchExit(c *container) {
	var exit *guestapi.Exit
	err := c.sandbox.agent.retry(m.life, func(conn *agentConn) error {
		answer, err := conn.WaitProcess(m.life, &guestapi.WaitProcessRequest{ContainerId: c.id})
		exit = answer.GetExit()
		return fromAgent(err)
	})
	switch {
	case m.life.Err() != nil || !c.sandbox.vmRuns():
		return // the next process, or the VM's watcher, sees to it
	case errors.Is(err, errLinkClosed):
		return
	case err != nil:
		m.exited(c, ending{code: codeUnknown, reason: reasonUnknown, message: "the guest does not know the container: " + err.Error(), at: time.Now()})
		return
	}
	// The last lines are in the log before the end is seen.
	select {
	case <-c.out.ended:
	case <-time.After(drainTime):
	case <-c.sandbox.vm.Exited():
	case <-m.life.Done():
		return
	}
	m.exited(c, guestEnding(exit, c.status.Load().Started))
}

func guestEnding(exit *guestapi.Exit, started time.Time) ending {
	e := ending{code: int32(exit.GetCode()), reason: reasonCompleted, at: sane(exit.GetEndedUnixNanos(), started)}
	switch {
	case exit.GetOomKilled():
		e.reason = reasonOOMKilled
	case e.code != 0:
		e.reason = reasonError
	}
	return e
}
