package podsandbox

import (
	"context"
	"fmt"
	"time"

	guestapi "github.com/paddock-run/paddock/guest/api"
)

// ContainerStats asks the guest; ErrState if it does not run.
func (m *Manager) ContainerStats(ctx context.Context, id string) (*guestapi.ContainerStats, error) {
	c, err := m.running(id)
	if err != nil {
		return nil, err
	}
	answer, err := c.sandbox.guestStats(ctx, &guestapi.StatsRequest{ContainerIds: []string{c.id}})
	if err != nil {
		return nil, err
	}
	for _, s := range answer.Containers {
		if s.Id == c.id {
			return s, nil
		}
	}
	return nil, fmt.Errorf("stats of container %s: %w: the guest has none", c.id, ErrNotFound)
}

// SandboxStats asks the guest and the VM's host.
func (m *Manager) SandboxStats(ctx context.Context, id string, detail StatsDetail) (*SandboxStats, error) {
	s, err := m.sandbox(id)
	if err != nil {
		return nil, err
	}
	answer, err := s.guestStats(ctx, &guestapi.StatsRequest{Pod: true, Details: detail == StatsCounted})
	if err != nil {
		return nil, err
	}
	out := &SandboxStats{Pod: answer.Pod, Containers: answer.Containers}
	cost, err := s.vm.Stats(ctx)
	if err != nil {
		return nil, fmt.Errorf("stats of sandbox %s: %w", s.id, err)
	}
	out.VMMemoryBytes, out.VMCPU = cost.MemoryBytes, cost.CPU
	return out, nil
}

func (s *sandbox) guestStats(ctx context.Context, request *guestapi.StatsRequest) (answer *guestapi.StatsResponse, err error) {
	ctx, leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	err = s.agent.retry(ctx, func(conn *agentConn) (err error) {
		answer, err = conn.Stats(ctx, request)
		return fromAgent(err)
	})
	if err != nil {
		return nil, fmt.Errorf("stats of sandbox %s: %w", s.id, err)
	}
	boundStats(answer, s.has, time.Now())
	return answer, nil
}

// has tells whether a container is the sandbox's.
func (s *sandbox) has(container string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.containers[container] != nil
}
