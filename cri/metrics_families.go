package cri

import (
	"fmt"
	"strconv"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	guestapi "github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/podsandbox"
)

const (
	counter = runtimeapi.MetricType_COUNTER
	gauge   = runtimeapi.MetricType_GAUGE
)

var (
	deviceLabels    = []string{"device"}
	interfaceLabels = []string{"interface"}
)

// allMetrics have cAdvisor's names and units
// (github.com/google/cadvisor/metrics/prometheus.go); docs/metrics.md tells
// where each comes from, and what is left out. CRI carries whole numbers only,
// so seconds are whole seconds.
var allMetrics = join(
	cpuMetrics, memoryMetrics, diskMetrics, networkMetrics, processMetrics, pressureMetrics, specMetrics,
)

func join(lists ...[]metric) (all []metric) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

var cpuMetrics = []metric{
	{"container_cpu_usage_seconds_total", counter, nil, "Processor time consumed, in seconds.", ofCPU(func(c *guestapi.CPUStats) uint64 { return seconds(c.GetUsageNanos()) })},
	{"container_cpu_user_seconds_total", counter, nil, "Processor time consumed in user mode, in seconds.", ofCPU(func(c *guestapi.CPUStats) uint64 { return seconds(c.GetUserNanos()) })},
	{"container_cpu_system_seconds_total", counter, nil, "Processor time consumed in the kernel, in seconds.", ofCPU(func(c *guestapi.CPUStats) uint64 { return seconds(c.GetSystemNanos()) })},
	{"container_cpu_cfs_periods_total", counter, nil, "Periods in which the quota was enforced.", ofCPU((*guestapi.CPUStats).GetPeriods)},
	{"container_cpu_cfs_throttled_periods_total", counter, nil, "Periods in which the quota was used up.", ofCPU((*guestapi.CPUStats).GetThrottledPeriods)},
	{"container_cpu_cfs_throttled_seconds_total", counter, nil, "Time for which the quota held tasks back, in seconds.", ofCPU(func(c *guestapi.CPUStats) uint64 { return seconds(c.GetThrottledNanos()) })},
}

var memoryMetrics = []metric{
	{"container_memory_usage_bytes", gauge, nil, "Memory used, in bytes, whenever it was last accessed.", ofMemory((*guestapi.MemoryStats).GetUsageBytes)},
	{"container_memory_working_set_bytes", gauge, nil, "Memory used, in bytes, without file cache that is not active.", ofMemory((*guestapi.MemoryStats).GetWorkingSetBytes)},
	{"container_memory_max_usage_bytes", gauge, nil, "The most memory ever used, in bytes.", ofMemory((*guestapi.MemoryStats).GetPeakBytes)},
	{"container_memory_rss", gauge, nil, "Anonymous memory, in bytes.", ofMemory((*guestapi.MemoryStats).GetRssBytes)},
	{"container_memory_cache", gauge, nil, "File cache, in bytes.", ofMemory((*guestapi.MemoryStats).GetCacheBytes)},
	{"container_memory_kernel_usage", gauge, nil, "Memory of the kernel, in bytes.", ofMemory((*guestapi.MemoryStats).GetKernelBytes)},
	{"container_memory_mapped_file", gauge, nil, "Mapped files in memory, in bytes.", ofMemory((*guestapi.MemoryStats).GetMappedFileBytes)},
	{"container_memory_total_active_file_bytes", gauge, nil, "Active file cache, in bytes.", ofMemory((*guestapi.MemoryStats).GetActiveFileBytes)},
	{"container_memory_total_inactive_file_bytes", gauge, nil, "File cache that is not active, in bytes.", ofMemory((*guestapi.MemoryStats).GetInactiveFileBytes)},
	{"container_memory_swap", gauge, nil, "Swap used, in bytes.", ofMemory((*guestapi.MemoryStats).GetSwapBytes)},
	{"container_memory_failcnt", counter, nil, "How often the memory limit was hit.", ofMemory((*guestapi.MemoryStats).GetLimitHits)},
	{"container_memory_failures_total", counter, []string{"failure_type", "scope"}, "Page faults.", memoryFailures},
	{"container_oom_events_total", counter, nil, "Processes that were killed for want of memory.", ofMemory((*guestapi.MemoryStats).GetOomKills)},
}

// memoryFailures: a group's count includes those below it, as cgroup v2 has it.
func memoryFailures(s *metricSource) []point {
	if s.memory == nil {
		return nil
	}
	minor, major := s.memory.GetPageFaults(), s.memory.GetMajorPageFaults()
	return []point{
		{minor, []string{"pgfault", "container"}}, {major, []string{"pgmajfault", "container"}},
		{minor, []string{"pgfault", "hierarchy"}}, {major, []string{"pgmajfault", "hierarchy"}},
	}
}

var diskMetrics = []metric{
	{"container_fs_usage_bytes", gauge, deviceLabels, "Writable layer of the container, in bytes.", ofLayer((*guestapi.FilesystemStats).GetUsedBytes)},
	{"container_fs_limit_bytes", gauge, deviceLabels, "Size of the file system of the writable layer, in bytes.", ofLayer((*guestapi.FilesystemStats).GetCapacityBytes)},
	{"container_fs_inodes_total", gauge, deviceLabels, "Inodes of the file system of the writable layer.", ofLayer((*guestapi.FilesystemStats).GetInodes)},
	{"container_fs_inodes_free", gauge, deviceLabels, "Free inodes of the file system of the writable layer.", ofLayer((*guestapi.FilesystemStats).GetFreeInodes)},
	{"container_fs_reads_bytes_total", counter, deviceLabels, "Bytes read.", ofDevices((*guestapi.DeviceIO).GetReadBytes)},
	{"container_fs_reads_total", counter, deviceLabels, "Reads completed.", ofDevices((*guestapi.DeviceIO).GetReadOps)},
	{"container_fs_writes_bytes_total", counter, deviceLabels, "Bytes written.", ofDevices((*guestapi.DeviceIO).GetWriteBytes)},
	{"container_fs_writes_total", counter, deviceLabels, "Writes completed.", ofDevices((*guestapi.DeviceIO).GetWriteOps)},
	{"container_blkio_device_usage_total", counter, []string{"device", "major", "minor", "operation"}, "Bytes read from and written to a block device.", blockIO},
}

// deviceLabel names a device by its numbers: its name would be the guest's word.
func deviceLabel(d *guestapi.DeviceIO) string {
	return fmt.Sprintf("%d:%d", d.GetMajor(), d.GetMinor())
}

func blockIO(s *metricSource) (points []point) {
	for _, d := range s.io.GetDevices() {
		device := []string{deviceLabel(d), strconv.Itoa(int(d.GetMajor())), strconv.Itoa(int(d.GetMinor()))}
		points = append(points,
			point{d.GetReadBytes(), append(device[:3:3], "Read")}, point{d.GetWriteBytes(), append(device[:3:3], "Write")})
	}
	return points
}

var networkMetrics = []metric{
	{"container_network_receive_bytes_total", counter, interfaceLabels, "Bytes received.", ofInterfaces((*guestapi.InterfaceStats).GetRxBytes)},
	{"container_network_receive_packets_total", counter, interfaceLabels, "Packets received.", ofInterfaces((*guestapi.InterfaceStats).GetRxPackets)},
	{"container_network_receive_packets_dropped_total", counter, interfaceLabels, "Packets dropped on their way in.", ofInterfaces((*guestapi.InterfaceStats).GetRxDropped)},
	{"container_network_receive_errors_total", counter, interfaceLabels, "Errors while receiving.", ofInterfaces((*guestapi.InterfaceStats).GetRxErrors)},
	{"container_network_transmit_bytes_total", counter, interfaceLabels, "Bytes sent.", ofInterfaces((*guestapi.InterfaceStats).GetTxBytes)},
	{"container_network_transmit_packets_total", counter, interfaceLabels, "Packets sent.", ofInterfaces((*guestapi.InterfaceStats).GetTxPackets)},
	{"container_network_transmit_packets_dropped_total", counter, interfaceLabels, "Packets dropped on their way out.", ofInterfaces((*guestapi.InterfaceStats).GetTxDropped)},
	{"container_network_transmit_errors_total", counter, interfaceLabels, "Errors while sending.", ofInterfaces((*guestapi.InterfaceStats).GetTxErrors)},
}

var processMetrics = []metric{
	{"container_processes", gauge, nil, "Processes.", ofCounted((*guestapi.ContainerStats).GetProcesses)},
	{"container_threads", gauge, nil, "Threads.", func(s *metricSource) []point { return one(s.threads) }},
	{"container_threads_max", gauge, nil, "The most threads there may be; 0: no limit.", ofCounted((*guestapi.ContainerStats).GetPidsLimit)},
	{"container_file_descriptors", gauge, nil, "Open file descriptors.", ofCounted((*guestapi.ContainerStats).GetFileDescriptors)},
	{"container_sockets", gauge, nil, "Open sockets.", ofCounted((*guestapi.ContainerStats).GetSockets)},
	{"container_ulimits_soft", gauge, []string{"ulimit"}, "Soft limits of the first process. One that is unlimited is left out.", softLimits},
	{"container_last_seen", gauge, nil, "When the container was last seen, in seconds since 1970.", func(s *metricSource) []point { return one(uint64(s.seen.Unix())) }},
	{"container_start_time_seconds", gauge, nil, "When the container started, in seconds since 1970.", func(s *metricSource) []point { return one(uint64(s.started.Unix())) }},
}

func softLimits(s *metricSource) []point {
	if n := s.counted.GetOpenFilesLimit(); n > 0 {
		return one(n, "max_open_files")
	}
	return nil
}

var (
	cpuPressure    = func(s *metricSource) *guestapi.Pressure { return s.cpu.GetPressure() }
	memoryPressure = func(s *metricSource) *guestapi.Pressure { return s.memory.GetPressure() }
	ioPressure     = func(s *metricSource) *guestapi.Pressure { return s.io.GetPressure() }
)

var pressureMetrics = []metric{
	{"container_pressure_cpu_waiting_seconds_total", counter, nil, "Time for which some task waited for a processor, in seconds.", ofPressure(cpuPressure, (*guestapi.Pressure).GetSome)},
	{"container_pressure_cpu_stalled_seconds_total", counter, nil, "Time for which all tasks waited for a processor, in seconds.", ofPressure(cpuPressure, (*guestapi.Pressure).GetFull)},
	{"container_pressure_memory_waiting_seconds_total", counter, nil, "Time for which some task waited for memory, in seconds.", ofPressure(memoryPressure, (*guestapi.Pressure).GetSome)},
	{"container_pressure_memory_stalled_seconds_total", counter, nil, "Time for which all tasks waited for memory, in seconds.", ofPressure(memoryPressure, (*guestapi.Pressure).GetFull)},
	{"container_pressure_io_waiting_seconds_total", counter, nil, "Time for which some task waited for input or output, in seconds.", ofPressure(ioPressure, (*guestapi.Pressure).GetSome)},
	{"container_pressure_io_stalled_seconds_total", counter, nil, "Time for which all tasks waited for input or output, in seconds.", ofPressure(ioPressure, (*guestapi.Pressure).GetFull)},
}

// defaultCPUPeriod is the kernel's, in microseconds.
const defaultCPUPeriod = 100000

// specMetrics tell the limits in effect. CRI has no memory reservation, so it is 0.
var specMetrics = []metric{
	{"container_spec_cpu_period", gauge, nil, "Period of the processor quota, in microseconds.", ofResources(func(r *podsandbox.Resources) int64 {
		if r.CPUPeriod > 0 {
			return r.CPUPeriod
		}
		return defaultCPUPeriod
	})},
	{"container_spec_cpu_quota", gauge, nil, "Processor time in each period, in microseconds. Left out without a quota.", func(s *metricSource) []point {
		if s.resources.CPUQuota <= 0 {
			return nil
		}
		return one(uint64(s.resources.CPUQuota))
	}},
	{"container_spec_cpu_shares", gauge, nil, "Share of the processors.", ofResources(func(r *podsandbox.Resources) int64 { return r.CPUShares })},
	{"container_spec_memory_limit_bytes", gauge, nil, "Memory limit, in bytes; 0: none.", ofResources(func(r *podsandbox.Resources) int64 { return r.MemoryLimit })},
	{"container_spec_memory_swap_limit_bytes", gauge, nil, "Limit of memory and swap, in bytes; 0: none.", ofResources(func(r *podsandbox.Resources) int64 { return r.MemorySwapLimit })},
	{"container_spec_memory_reservation_limit_bytes", gauge, nil, "Memory reservation, in bytes; 0: none.", ofResources(func(*podsandbox.Resources) int64 { return 0 })},
}
