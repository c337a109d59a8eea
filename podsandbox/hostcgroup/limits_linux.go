package hostcgroup

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// noMemoryLimit is above every limit: cgroup v1 says none with a number near the largest.
const noMemoryLimit = 1 << 62

// Read tells how a pod's cgroup is limited; false if there is no such cgroup.
func Read(parent string) (Limits, bool) { return read(Dirs(parent)) }

func read(dirs []string) (l Limits, found bool) {
	for _, dir := range dirs {
		if _, err := os.Stat(dir); err != nil {
			continue
		}
		found = true
		// Version 2, then version 1, where each is in a hierarchy of its own.
		if n := numbers(dir, "cpu.max"); len(n) == 2 {
			l.Quota, l.Period = n[0], n[1]
		}
		quota, period := numbers(dir, "cpu.cfs_quota_us"), numbers(dir, "cpu.cfs_period_us")
		if len(quota) == 1 && len(period) == 1 {
			l.Quota, l.Period = quota[0], period[0]
		}
		for _, file := range []string{"memory.max", "memory.limit_in_bytes"} {
			if n := numbers(dir, file); len(n) == 1 && n[0] < noMemoryLimit {
				l.Memory = n[0]
			}
		}
	}
	return l, found
}

// numbers are those of a file of numbers above 0; none if one is not.
func numbers(dir, file string) (list []int64) {
	raw, _ := os.ReadFile(filepath.Join(dir, file))
	for _, field := range strings.Fields(string(raw)) {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil || n <= 0 {
			return nil
		}
		list = append(list, n)
	}
	return list
}
