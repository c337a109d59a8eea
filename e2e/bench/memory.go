package bench

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// idPrefix is how much of a pod's id both runtimes put on command lines.
const idPrefix = 32

// podPSS is the proportional set size, in bytes, of every host process of a pod:
// those that have its id on their command line, and their descendants.
func podPSS(podID string) (uint64, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, err
	}
	mark := []byte(podID[:min(idPrefix, len(podID))])
	parents := map[string]string{}
	mine := map[string]bool{}
	for _, dir := range dirs {
		pid := filepath.Base(dir)
		if line, err := os.ReadFile(dir + "/cmdline"); err == nil && bytes.Contains(line, mark) {
			mine[pid] = true
		}
		if stat, err := os.ReadFile(dir + "/stat"); err == nil {
			fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
			parents[pid] = fields[1]
		}
	}
	var sum uint64
	for pid := range parents {
		for p := pid; p != "" && p != "0"; p = parents[p] {
			if mine[p] {
				sum += pss(pid)
				break
			}
		}
	}
	if sum == 0 {
		return 0, fmt.Errorf("no process of pod %s found", podID)
	}
	return sum, nil
}

func pss(pid string) uint64 {
	data, _ := os.ReadFile("/proc/" + pid + "/smaps_rollup")
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "Pss:" {
			kib, _ := strconv.ParseUint(f[1], 10, 64)
			return kib << 10
		}
	}
	return 0
}
