package ocispec

import specs "github.com/opencontainers/runtime-spec/specs-go"

// LinuxResources translates limits; what is zero stays unset.
func LinuxResources(r Resources) *specs.LinuxResources {
	out := &specs.LinuxResources{HugepageLimits: r.Hugepages, Unified: r.Unified}
	if r.MemoryLimit != 0 || r.MemorySwapLimit != 0 || r.MemoryReservation != 0 {
		out.Memory = &specs.LinuxMemory{}
		if r.MemoryLimit != 0 {
			out.Memory.Limit = &r.MemoryLimit
		}
		if r.MemorySwapLimit != 0 {
			out.Memory.Swap = &r.MemorySwapLimit
		}
		if r.MemoryReservation != 0 {
			out.Memory.Reservation = &r.MemoryReservation
		}
	}
	if r.PidsLimit != 0 {
		out.Pids = &specs.LinuxPids{Limit: &r.PidsLimit}
	}
	cpu := specs.LinuxCPU{Cpus: r.CpusetCpus, Mems: r.CpusetMems}
	if r.CPUShares > 0 {
		shares := uint64(r.CPUShares)
		cpu.Shares = &shares
	}
	if r.CPUPeriod > 0 {
		period := uint64(r.CPUPeriod)
		cpu.Period = &period
	}
	if r.CPUQuota != 0 {
		cpu.Quota = &r.CPUQuota
	}
	if cpu != (specs.LinuxCPU{}) {
		out.CPU = &cpu
	}
	return out
}
