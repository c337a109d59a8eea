package hostcgroup

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Limits tells what a pod is limited in on the node.
type Limits struct{ CPU, Memory bool }

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
		l.CPU = l.CPU || limited(dir, "cpu.max") || limited(dir, "cpu.cfs_quota_us")
		l.Memory = l.Memory || limited(dir, "memory.max") || limited(dir, "memory.limit_in_bytes")
	}
	return l, found
}

// limited tells whether a file's first number is a limit.
func limited(dir, file string) bool {
	raw, _ := os.ReadFile(filepath.Join(dir, file))
	first, _, _ := strings.Cut(strings.TrimSpace(string(raw)), " ")
	n, err := strconv.ParseInt(first, 10, 64)
	return err == nil && n > 0 && n < noMemoryLimit
}
