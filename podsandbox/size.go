package podsandbox

import "github.com/paddock-run/paddock/podsandbox/vm"

// memoryStep is what a VM's memory is rounded up to, so that few sizes exist.
const memoryStep = 128 << 20

// vmSize is the VM that a pod's limits and overhead ask for, never less than the default.
func (m *Manager) vmSize(cfg *SandboxConfig) vm.Resources {
	var r vm.Resources
	r.MemoryBytes = m.cfg.DefaultMemory
	if limit := cfg.Resources.MemoryLimit; limit > 0 {
		need := uint64(limit) + m.cfg.PodOverheadMemory
		if o := cfg.Overhead.MemoryLimit; o > 0 {
			need += uint64(o)
		}
		r.MemoryBytes = max(r.MemoryBytes, roundUp(need))
	}
	if q, p := cfg.Resources.CPUQuota, cfg.Resources.CPUPeriod; q > 0 && p > 0 {
		r.CPUs = uint32(min((q+p-1)/p, 256))
	}
	return r
}

func roundUp(n uint64) uint64 { return (n + memoryStep - 1) / memoryStep * memoryStep }
