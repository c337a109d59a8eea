package cri

import (
	"math"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	guestapi "github.com/paddock-run/paddock/guest/api"
)

// defaultInterface is the name of a pod's first NIC.
const defaultInterface = "eth0"

func u64(v uint64) *runtimeapi.UInt64Value { return &runtimeapi.UInt64Value{Value: v} }

// sampled is when a guest says that it took a sample; now if it says nothing.
// CRI wants times above zero.
func sampled(unixNanos int64) int64 {
	if unixNanos > 0 {
		return unixNanos
	}
	return time.Now().UnixNano()
}

// containerUsage translates a guest's sample; attributes and rates are the caller's.
func containerUsage(st *guestapi.ContainerStats, mountpoint string) *runtimeapi.ContainerStats {
	at := sampled(st.GetUnixNanos())
	out := &runtimeapi.ContainerStats{
		Cpu:    cpuUsage(st.GetCpu(), at),
		Memory: memoryUsage(st.GetMemory(), at),
		Swap:   swapUsage(st.GetMemory(), at),
		Io:     ioUsage(st.GetIo(), at),
	}
	if fs := st.GetWritableLayer(); fs != nil {
		out.WritableLayer = &runtimeapi.FilesystemUsage{
			Timestamp:  at,
			FsId:       &runtimeapi.FilesystemIdentifier{Mountpoint: mountpoint},
			UsedBytes:  u64(fs.GetUsedBytes()),
			InodesUsed: u64(fs.GetUsedInodes()),
		}
	}
	return out
}

func cpuUsage(c *guestapi.CPUStats, at int64) *runtimeapi.CpuUsage {
	if c == nil {
		return nil
	}
	return &runtimeapi.CpuUsage{Timestamp: at, UsageCoreNanoSeconds: u64(c.GetUsageNanos()), Psi: psi(c.GetPressure())}
}

func memoryUsage(m *guestapi.MemoryStats, at int64) *runtimeapi.MemoryUsage {
	if m == nil {
		return nil
	}
	out := &runtimeapi.MemoryUsage{
		Timestamp:       at,
		WorkingSetBytes: u64(m.GetWorkingSetBytes()),
		UsageBytes:      u64(m.GetUsageBytes()),
		RssBytes:        u64(m.GetRssBytes()),
		PageFaults:      u64(m.GetPageFaults()),
		MajorPageFaults: u64(m.GetMajorPageFaults()),
		Psi:             psi(m.GetPressure()),
	}
	// A limit near the top of the range is cgroup's way to say none.
	if limit := m.GetLimitBytes(); limit > 0 && limit < math.MaxInt64/2 {
		out.AvailableBytes = u64(limit - min(limit, m.GetWorkingSetBytes()))
	}
	return out
}

func swapUsage(m *guestapi.MemoryStats, at int64) *runtimeapi.SwapUsage {
	if m == nil {
		return nil
	}
	return &runtimeapi.SwapUsage{
		Timestamp: at, SwapUsageBytes: u64(m.GetSwapBytes()), SwapAvailableBytes: u64(m.GetSwapAvailableBytes()),
	}
}

// ioUsage is nil where the guest's kernel keeps no pressure: CRI has no other use of it.
func ioUsage(io *guestapi.IOStats, at int64) *runtimeapi.IoUsage {
	if io.GetPressure() == nil {
		return nil
	}
	return &runtimeapi.IoUsage{Timestamp: at, Psi: psi(io.GetPressure())}
}

func psi(p *guestapi.Pressure) *runtimeapi.PsiStats {
	if p == nil {
		return nil
	}
	return &runtimeapi.PsiStats{Some: psiData(p.GetSome()), Full: psiData(p.GetFull())}
}

func psiData(s *guestapi.Stall) *runtimeapi.PsiData {
	percent := func(hundredths uint32) float64 { return float64(hundredths) / 100 }
	return &runtimeapi.PsiData{
		Total: s.GetTotalNanos(), Avg10: percent(s.GetAvg10()), Avg60: percent(s.GetAvg60()), Avg300: percent(s.GetAvg300()),
	}
}

// podUsage translates a guest's sample of the whole pod; rates and containers are the caller's.
func podUsage(st *guestapi.PodStats) *runtimeapi.LinuxPodSandboxStats {
	if st == nil {
		return &runtimeapi.LinuxPodSandboxStats{}
	}
	at := sampled(st.GetUnixNanos())
	return &runtimeapi.LinuxPodSandboxStats{
		Cpu:     cpuUsage(st.GetCpu(), at),
		Memory:  memoryUsage(st.GetMemory(), at),
		Network: networkUsage(st.GetInterfaces(), at),
		Process: &runtimeapi.ProcessUsage{Timestamp: at, ProcessCount: u64(st.GetProcesses())},
		Io:      ioUsage(st.GetIo(), at),
	}
}

// networkUsage puts eth0, else the first interface, in the default's place.
func networkUsage(list []*guestapi.InterfaceStats, at int64) *runtimeapi.NetworkUsage {
	list = withoutLoopback(list)
	if len(list) == 0 {
		return nil
	}
	first := 0
	for i, n := range list {
		if n.GetName() == defaultInterface {
			first = i
			break
		}
	}
	out := &runtimeapi.NetworkUsage{Timestamp: at, DefaultInterface: interfaceUsage(list[first])}
	for i, n := range list {
		if i != first {
			out.Interfaces = append(out.Interfaces, interfaceUsage(n))
		}
	}
	return out
}

func withoutLoopback(list []*guestapi.InterfaceStats) []*guestapi.InterfaceStats {
	out := make([]*guestapi.InterfaceStats, 0, len(list))
	for _, n := range list {
		if n.GetName() != "lo" {
			out = append(out, n)
		}
	}
	return out
}

func interfaceUsage(n *guestapi.InterfaceStats) *runtimeapi.NetworkInterfaceUsage {
	return &runtimeapi.NetworkInterfaceUsage{
		Name:    n.GetName(),
		RxBytes: u64(n.GetRxBytes()), RxErrors: u64(n.GetRxErrors()),
		TxBytes: u64(n.GetTxBytes()), TxErrors: u64(n.GetTxErrors()),
	}
}
