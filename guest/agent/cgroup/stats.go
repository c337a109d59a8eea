//go:build linux

package cgroup

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/guest/api"
)

// CPU reads a group's processor use.
func CPU(dir string) *api.CPUStats {
	s := table(dir, "cpu.stat")
	return &api.CPUStats{
		UsageNanos:       s["usage_usec"] * 1000,
		UserNanos:        s["user_usec"] * 1000,
		SystemNanos:      s["system_usec"] * 1000,
		Periods:          s["nr_periods"],
		ThrottledPeriods: s["nr_throttled"],
		ThrottledNanos:   s["throttled_usec"] * 1000,
		Pressure:         pressure(dir, "cpu.pressure"),
	}
}

// Memory reads a group's memory use.
func Memory(dir string) *api.MemoryStats {
	s, events := table(dir, "memory.stat"), table(dir, "memory.events")
	usage := number(dir, "memory.current")
	return &api.MemoryStats{
		UsageBytes:         usage,
		WorkingSetBytes:    usage - min(usage, s["inactive_file"]),
		RssBytes:           s["anon"],
		CacheBytes:         s["file"],
		SwapBytes:          number(dir, "memory.swap.current"),
		PageFaults:         s["pgfault"],
		MajorPageFaults:    s["pgmajfault"],
		LimitBytes:         number(dir, "memory.max"),
		OomKills:           events["oom_kill"],
		PeakBytes:          max(usage, number(dir, "memory.peak")),
		KernelBytes:        s["kernel"],
		MappedFileBytes:    s["file_mapped"],
		ActiveFileBytes:    s["active_file"],
		InactiveFileBytes:  s["inactive_file"],
		LimitHits:          events["max"],
		SwapAvailableBytes: swapAvailable(dir),
		Pressure:           pressure(dir, "memory.pressure"),
	}
}

// swapAvailable is what a group may still swap: of its limit, of what the machine has left.
func swapAvailable(dir string) uint64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return 0
	}
	free := info.Freeswap * uint64(info.Unit)
	raw, err := os.ReadFile(filepath.Join(dir, "memory.swap.max"))
	if err != nil || strings.TrimSpace(string(raw)) == "max" {
		return free
	}
	limit, used := number(dir, "memory.swap.max"), number(dir, "memory.swap.current")
	return min(free, limit-min(limit, used))
}

// OOMKills is how many processes of the group the kernel killed for want of memory.
func OOMKills(dir string) uint64 { return table(dir, "memory.events")["oom_kill"] }

// Pids is how many processes and threads the group has and may have (0: no limit).
func Pids(dir string) (current, limit uint64) {
	return number(dir, "pids.current"), number(dir, "pids.max")
}

// table reads a file of "name number" lines; what is not there is 0.
func table(dir, file string) map[string]uint64 {
	raw, _ := os.ReadFile(filepath.Join(dir, file))
	out := map[string]uint64{}
	for line := range strings.SplitSeq(string(raw), "\n") {
		name, value, _ := strings.Cut(line, " ")
		if n, err := strconv.ParseUint(value, 10, 64); err == nil {
			out[name] = n
		}
	}
	return out
}

// number reads a file of one number; "max" and a missing file are 0.
func number(dir, file string) uint64 {
	raw, _ := os.ReadFile(filepath.Join(dir, file))
	n, _ := strconv.ParseUint(strings.TrimSpace(string(raw)), 10, 64)
	return n
}
