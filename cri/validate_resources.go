package cri

import (
	"regexp"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// What the kernel takes as CFS period and least quota, in microseconds.
const (
	minCPUPeriod = 1000
	maxCPUPeriod = 1000000
	minCPUQuota  = 1000
	maxCPUShares = 262144
)

const (
	maxCpusetLength = 1024
	maxUnified      = 256
)

var (
	cpusetPattern   = regexp.MustCompile(`^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$`)
	hugepagePattern = regexp.MustCompile(`^[1-9][0-9]*[KMGT]B$`)
	unifiedPattern  = regexp.MustCompile(`^[a-z0-9_]+(\.[a-zA-Z0-9_]+)+$`)
)

// checkLinuxResources refuses limits that no kernel takes.
func checkLinuxResources(field string, r *runtimeapi.LinuxContainerResources) error {
	if p := r.GetCpuPeriod(); p != 0 && (p < minCPUPeriod || p > maxCPUPeriod) {
		return invalid(field+".cpu_period", "%d is not between %d and %d", p, minCPUPeriod, maxCPUPeriod)
	}
	if q := r.GetCpuQuota(); q < -1 || q > 0 && q < minCPUQuota {
		return invalid(field+".cpu_quota", "%d is neither -1, 0 nor at least %d", q, minCPUQuota)
	}
	if s := r.GetCpuShares(); s < 0 || s > maxCPUShares {
		return invalid(field+".cpu_shares", "%d is not between 0 and %d", s, maxCPUShares)
	}
	if m := r.GetMemoryLimitInBytes(); m < -1 { // -1 takes a limit away
		return invalid(field+".memory_limit_in_bytes", "%d is negative", m)
	}
	if m := r.GetMemorySwapLimitInBytes(); m < -1 {
		return invalid(field+".memory_swap_limit_in_bytes", "%d is negative", m)
	}
	if o := r.GetOomScoreAdj(); o < -1000 || o > 1000 {
		return invalid(field+".oom_score_adj", "%d is not between -1000 and 1000", o)
	}
	if err := checkCpuset(field+".cpuset_cpus", r.GetCpusetCpus()); err != nil {
		return err
	}
	if err := checkCpuset(field+".cpuset_mems", r.GetCpusetMems()); err != nil {
		return err
	}
	for i, h := range r.GetHugepageLimits() {
		if !hugepagePattern.MatchString(h.GetPageSize()) {
			return invalid(at(field+".hugepage_limits", i, "page_size"), "%q is not a page size", clip(h.GetPageSize()))
		}
	}
	if len(r.GetUnified()) > maxUnified {
		return invalid(field+".unified", "has more than %d keys", maxUnified)
	}
	for k, v := range r.GetUnified() {
		if len(k) > maxNameLength || len(v) > maxPathLength || !unifiedPattern.MatchString(k) {
			return invalid(field+".unified", "%q is not a cgroup file", clip(k))
		}
	}
	return nil
}

func checkCpuset(field, set string) error {
	if set != "" && (len(set) > maxCpusetLength || !cpusetPattern.MatchString(set)) {
		return invalid(field, "%q is not a list of numbers and ranges", clip(set))
	}
	return nil
}

// checkWindowsResources refuses negative limits.
func checkWindowsResources(field string, r *runtimeapi.WindowsContainerResources) error {
	for name, v := range map[string]int64{
		"cpu_shares": r.GetCpuShares(), "cpu_count": r.GetCpuCount(), "cpu_maximum": r.GetCpuMaximum(),
		"memory_limit_in_bytes": r.GetMemoryLimitInBytes(), "rootfs_size_in_bytes": r.GetRootfsSizeInBytes(),
	} {
		if v < 0 {
			return invalid(field+"."+name, "%d is negative", v)
		}
	}
	if m := r.GetCpuMaximum(); m > 10000 {
		return invalid(field+".cpu_maximum", "%d is more than 10000 hundredths of a percent", m)
	}
	return nil
}
