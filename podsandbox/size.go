package podsandbox

import (
	"context"
	"encoding/json"

	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/podsandbox/hostcgroup"
	"github.com/paddock-run/paddock/podsandbox/ocispec"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

const (
	// memoryStep is what a VM's memory is rounded up to, so that few sizes exist.
	memoryStep = 128 << 20
	// defaultPeriod is the kernel's for a quota, in microseconds.
	defaultPeriod = 100000
)

// podSize is what a pod is given: its VM's size, and the limits within the guest
// on all of its containers together.
type podSize struct {
	vm     vm.Resources
	limits podLimits
}

// unknownSize is that of a pod which an earlier daemon, or a change that failed, left: none is like it.
var unknownSize = podSize{limits: podLimits{quota: -1}}

// podLimits bound a pod's containers together; 0: no limit.
type podLimits struct{ quota, period, memory int64 }

// bootSize is the VM that a pod begins with: the memory that its limits and
// overhead ask for, never less than the default. Processors are the host's choice,
// so that VMs are alike; those that a limit needs are added.
func (m *Manager) bootSize(cfg *SandboxConfig) vm.Resources {
	r := vm.Resources{MemoryBytes: m.cfg.DefaultMemory}
	if limit := byteLimit(cfg.Resources.MemoryLimit); limit > 0 {
		r.MemoryBytes = max(r.MemoryBytes, roundUp(limit+byteLimit(cfg.Overhead.MemoryLimit)+m.overhead(cfg)))
	}
	return r
}

// windowsOverhead is what Windows itself takes of a VM's memory, in bytes, about:
// an estimate. The host backs what is used of it.
const windowsOverhead = 512 << 20

// overhead is the memory of a pod's VM that its containers cannot have.
func (m *Manager) overhead(cfg *SandboxConfig) uint64 {
	if os, _ := cfg.Handler.OS(); m.windowsGuest(os) {
		return m.cfg.PodOverheadMemory + windowsOverhead
	}
	return m.cfg.PodOverheadMemory
}

// size is what the pod should have now: what it began with or was changed to,
// or more if its containers may use more together.
func (m *Manager) size(s *sandbox) podSize {
	pod := s.status.Load().Config
	size := podSize{vm: m.bootSize(&pod), limits: limitsOf(&pod)}
	var memory, cpu uint64
	for _, r := range s.claimed() {
		memory += byteLimit(r.MemoryLimit)
		cpu += milliCPUs(r.CPUQuota, r.CPUPeriod)
	}
	if memory > 0 {
		size.vm.MemoryBytes = max(size.vm.MemoryBytes, roundUp(memory+m.overhead(&pod)))
	}
	cpu = max(cpu, milliCPUs(size.limits.quota, size.limits.period))
	if n := processors(cpu); n > 1 { // every VM has one
		size.vm.CPUs = n
	}
	return size
}

// limitsOf are a pod's limits. CRI gives the sum of its containers' limits, and
// leaves containers without one out of it: then the sum limits nobody. kubelet
// knows, and sets the pod's cgroup on the node, before it tells of a change; so
// that counts where there is one.
func limitsOf(cfg *SandboxConfig) podLimits {
	l := podLimits{cfg.Resources.CPUQuota, cfg.Resources.CPUPeriod, cfg.Resources.MemoryLimit}
	if set, found := hostcgroup.Read(cfg.CgroupParent); found {
		// The node's limit is also of the overhead, which is the VM's and not the containers'.
		l = podLimits{set.Quota, set.Period, set.Memory - max(cfg.Overhead.MemoryLimit, 0)}
	}
	l.memory = max(l.memory, 0)
	switch {
	case l.quota <= 0:
		l.quota, l.period = 0, 0
	case l.period <= 0:
		l.period = defaultPeriod
	}
	return l
}

// vmCgroup is where the VM belongs on the node: into the pod's cgroup, unless that
// is limited to what the containers may have, without what the VM needs beside
// them. The node would end the VM there as soon as its kernel has booted.
func (m *Manager) vmCgroup(ctx context.Context, cfg *SandboxConfig) string {
	set, _ := hostcgroup.Read(cfg.CgroupParent)
	return m.vmCgroupOf(ctx, cfg, set)
}

func (m *Manager) vmCgroupOf(ctx context.Context, cfg *SandboxConfig, set hostcgroup.Limits) string {
	if set.Memory == 0 || byteLimit(cfg.Overhead.MemoryLimit) >= m.cfg.PodOverheadMemory {
		return cfg.CgroupParent
	}
	above := hostcgroup.Above(cfg.CgroupParent)
	klog.FromContext(ctx).Info("The pod has a memory limit and no overhead for its VM, which is not within the pod's cgroup on the node, therefore; "+
		"use a RuntimeClass with an overhead", "pod", klog.KRef(cfg.Meta.Namespace, cfg.Meta.Name), "limit", set.Memory,
		"overhead", cfg.Overhead.MemoryLimit, "needed", m.cfg.PodOverheadMemory, "cgroup", above)
	return above
}

func (l podLimits) oci() ([]byte, error) {
	return json.Marshal(ocispec.LinuxResources(ocispec.Resources{CPUQuota: l.quota, CPUPeriod: l.period, MemoryLimit: l.memory}))
}

// byteLimit is a limit that sums of many cannot overflow; 0: none.
func byteLimit(limit int64) uint64 { return uint64(min(max(limit, 0), vm.MaxMemory)) }

// milliCPUs is a quota in thousandths of a processor, rounded up; 0: none.
func milliCPUs(quota, period int64) uint64 {
	if quota <= 0 {
		return 0
	}
	if period <= 0 {
		period = defaultPeriod
	}
	return uint64((min(quota, vm.MaxCPUs*period)*1000 + period - 1) / period)
}

// processors are as many as a quota needs.
func processors(milliCPUs uint64) uint32 { return uint32(min((milliCPUs+999)/1000, vm.MaxCPUs)) }

func roundUp(n uint64) uint64 { return (n + memoryStep - 1) / memoryStep * memoryStep }
