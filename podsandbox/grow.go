package podsandbox

import (
	"context"
	"errors"

	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/podsandbox/vm"
)

// growVM gives the VM what its containers may use together, if that is more than it has.
func (k *containerMake) growVM(ctx context.Context) error {
	return k.m.growVM(ctx, k.s, k.cfg.Resources.MemoryLimit)
}

func (m *Manager) growVM(ctx context.Context, s *sandbox, more int64) error {
	if more <= 0 {
		return nil
	}
	need := uint64(more) + m.cfg.PodOverheadMemory
	for _, c := range s.allContainers() {
		st := c.status.Load()
		if limit := st.Config.Resources.MemoryLimit; limit > 0 && st.State != ContainerExited {
			need += uint64(limit)
		}
	}
	pod := s.status.Load().Config
	if need <= m.vmSize(&pod).MemoryBytes {
		return nil
	}
	err := s.vm.Resize(ctx, vm.Resources{MemoryBytes: roundUp(need)})
	if errors.Is(err, vm.ErrUnsupported) {
		klog.FromContext(ctx).Info("VM has less memory than its containers' limits, and cannot grow", "sandbox", s.id, "needBytes", need, "reason", err.Error())
		return nil
	}
	return err
}
