package podsandbox

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"k8s.io/klog/v2"

	guestapi "github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

// claim has a container that is being made or changed count with what it may be about to use.
func (s *sandbox) claim(container string, r Resources) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.claims[container] = r
}

func (s *sandbox) unclaim(container string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.claims, container)
}

// claimed are the limits of the containers that live, or are being made.
func (s *sandbox) claimed() []Resources {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := maps.Clone(s.claims)
	for id, c := range s.containers {
		if st := c.status.Load(); st.State != ContainerExited {
			if _, claims := all[id]; !claims {
				all[id] = st.Config.Resources
			}
		}
	}
	return slices.Collect(maps.Values(all))
}

// resize gives a sandbox the size that it should have. What grows is there when
// this returns; a host that cannot grow a VM so far is logged, for the containers
// may do without. The VM comes first when it grows, last when it shrinks.
func (m *Manager) resize(ctx context.Context, s *sandbox) error {
	if err := s.sizing.lock(ctx); err != nil {
		return err
	}
	defer s.sizing.unlock()
	want, have := m.size(s), s.size
	if want == have {
		return nil
	}
	s.size = unknownSize // until all of it is done
	larger := want.vm
	larger.MemoryBytes = max(want.vm.MemoryBytes, have.vm.MemoryBytes)
	if larger.MemoryBytes != have.vm.MemoryBytes {
		if _, err := s.resizeVM(ctx, vm.Resources{MemoryBytes: larger.MemoryBytes}); err != nil {
			return err
		}
	}
	added := uint32(0)
	if larger.CPUs > have.vm.CPUs {
		done, err := s.resizeVM(ctx, vm.Resources{CPUs: larger.CPUs})
		if err != nil {
			return err
		}
		if done {
			added = larger.CPUs
		}
	}
	if want.limits != have.limits || added > 0 {
		if err := s.updateGuest(ctx, want.limits, added); err != nil {
			return err
		}
	}
	if want.vm.MemoryBytes < larger.MemoryBytes {
		if _, err := s.resizeVM(ctx, vm.Resources{MemoryBytes: want.vm.MemoryBytes}); err != nil {
			return err
		}
	}
	s.size = want
	return nil
}

// resizeVM tells whether the VM has the size; that it cannot is logged.
func (s *sandbox) resizeVM(ctx context.Context, size vm.Resources) (done bool, err error) {
	err = s.vm.Resize(ctx, size)
	if errors.Is(err, vm.ErrUnsupported) {
		klog.FromContext(ctx).Info("VM cannot be as large as its containers' limits", "sandbox", s.id, "reason", err.Error())
		return false, nil
	}
	return err == nil, err
}

// updateGuest has the guest bound the pod's containers together, and use the processors it has.
func (s *sandbox) updateGuest(ctx context.Context, l podLimits, cpus uint32) error {
	limits, err := l.oci()
	if err != nil {
		return err
	}
	err = s.agent.retry(ctx, func(conn *agentConn) error {
		_, err := conn.UpdateSandbox(ctx, &guestapi.UpdateSandboxRequest{Resources: limits, Cpus: cpus})
		return fromAgent(err)
	})
	if errors.Is(err, ErrUnsupported) { // an agent from before there was this call
		klog.FromContext(ctx).Info("The pod's limits are not set within its guest", "sandbox", s.id, "reason", err.Error())
		return nil
	}
	if err != nil {
		return fmt.Errorf("limits of the pod: %w", err)
	}
	return nil
}

// resizeAfter follows a change that has been made: what the VM cannot give back now it may the next time.
func (m *Manager) resizeAfter(ctx context.Context, s *sandbox) {
	if err := m.resize(ctx, s); err != nil {
		klog.FromContext(ctx).Error(err, "A sandbox keeps another size than it should have until its next change", "sandbox", s.id)
	}
}
