package cri

import (
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// windowsPodUsage is a pod's usage in the form that kubelet reads on Windows
// nodes, for Linux pods too. Working set stands for commit there.
func windowsPodUsage(l *runtimeapi.LinuxPodSandboxStats) *runtimeapi.WindowsPodSandboxStats {
	out := &runtimeapi.WindowsPodSandboxStats{
		Cpu:    windowsCPU(l.GetCpu()),
		Memory: windowsMemory(l.GetMemory()),
	}
	if n := l.GetNetwork(); n != nil {
		out.Network = &runtimeapi.WindowsNetworkUsage{
			Timestamp:        n.GetTimestamp(),
			DefaultInterface: windowsInterface(n.GetDefaultInterface()),
		}
		for _, i := range n.GetInterfaces() {
			out.Network.Interfaces = append(out.Network.Interfaces, windowsInterface(i))
		}
	}
	if p := l.GetProcess(); p != nil {
		out.Process = &runtimeapi.WindowsProcessUsage{Timestamp: p.GetTimestamp(), ProcessCount: p.GetProcessCount()}
	}
	for _, c := range l.GetContainers() {
		w := &runtimeapi.WindowsContainerStats{
			Attributes: c.GetAttributes(),
			Cpu:        windowsCPU(c.GetCpu()),
			Memory:     windowsMemory(c.GetMemory()),
		}
		if fs := c.GetWritableLayer(); fs != nil {
			w.WritableLayer = &runtimeapi.WindowsFilesystemUsage{Timestamp: fs.GetTimestamp(), FsId: fs.GetFsId(), UsedBytes: fs.GetUsedBytes()}
		}
		out.Containers = append(out.Containers, w)
	}
	return out
}

func windowsCPU(c *runtimeapi.CpuUsage) *runtimeapi.WindowsCpuUsage {
	if c == nil {
		return nil
	}
	return &runtimeapi.WindowsCpuUsage{
		Timestamp: c.GetTimestamp(), UsageCoreNanoSeconds: c.GetUsageCoreNanoSeconds(), UsageNanoCores: c.GetUsageNanoCores(),
	}
}

func windowsMemory(m *runtimeapi.MemoryUsage) *runtimeapi.WindowsMemoryUsage {
	if m == nil {
		return nil
	}
	return &runtimeapi.WindowsMemoryUsage{
		Timestamp: m.GetTimestamp(), WorkingSetBytes: m.GetWorkingSetBytes(), AvailableBytes: m.GetAvailableBytes(),
		PageFaults: m.GetPageFaults(), CommitMemoryBytes: m.GetWorkingSetBytes(),
	}
}

func windowsInterface(n *runtimeapi.NetworkInterfaceUsage) *runtimeapi.WindowsNetworkInterfaceUsage {
	return &runtimeapi.WindowsNetworkInterfaceUsage{Name: n.GetName(), RxBytes: n.GetRxBytes(), TxBytes: n.GetTxBytes()}
}
