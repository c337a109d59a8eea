package cri

import (
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/podsandbox"
)

const (
	// cpuPeriod is what Windows' shares of time are translated to, in microseconds.
	cpuPeriod = 100000
	// wholeCPU is CpuMaximum's unit: hundredths of a percent of all of the node's processors.
	wholeCPU = 10000
	// defaultWeight is what Windows gives a container that asks for none, of 10000.
	defaultWeight = 5000
	// defaultShares is what Linux gives.
	defaultShares = 1024
)

// windowsConfig adds what a request says about a Windows container. A Linux
// node's kubelet says it in Linux's fields, which stay then.
func (s *Server) windowsConfig(w *runtimeapi.WindowsContainerConfig, out *podsandbox.ContainerConfig) {
	if r := w.GetResources(); r != nil {
		out.Resources = s.windowsResources(r)
	}
	if name := w.GetSecurityContext().GetRunAsUsername(); name != "" {
		out.Security.RunAsUsername = name
	}
}

// windowsResources translates limits. CpuCount wins over CpuMaximum, and that
// over CpuShares, as on Windows.
func (s *Server) windowsResources(r *runtimeapi.WindowsContainerResources) podsandbox.Resources {
	out := podsandbox.Resources{MemoryLimit: r.GetMemoryLimitInBytes()}
	switch {
	case r.GetCpuCount() > 0:
		out.CPUPeriod, out.CPUQuota = cpuPeriod, cpuPeriod*min(r.GetCpuCount(), s.processors())
	case r.GetCpuMaximum() > 0:
		out.CPUPeriod, out.CPUQuota = cpuPeriod, max(cpuPeriod*s.processors()*r.GetCpuMaximum()/wholeCPU, minCPUQuota)
	case r.GetCpuShares() > 0:
		out.CPUShares = max(r.GetCpuShares()*defaultShares/defaultWeight, 2)
	}
	return out
}

// criWindowsResources is windowsResources turned around.
func (s *Server) criWindowsResources(r *podsandbox.Resources) *runtimeapi.WindowsContainerResources {
	out := &runtimeapi.WindowsContainerResources{MemoryLimitInBytes: max(r.MemoryLimit, 0)}
	switch {
	case r.CPUQuota > 0:
		period := max(r.CPUPeriod, 1)
		out.CpuMaximum = min(max(r.CPUQuota*wholeCPU/(period*s.processors()), 1), wholeCPU)
	case r.CPUShares > 0:
		out.CpuShares = min(max(r.CPUShares*defaultWeight/defaultShares, 1), wholeCPU)
	}
	return out
}

// processors is how many the node has, which CpuMaximum is a part of.
func (s *Server) processors() int64 { return int64(max(s.cfg.Processors, 1)) }
