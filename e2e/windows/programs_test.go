package windows

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// beginTime is more than a program takes to its second thread.
const beginTime = 5 * time.Second

// endPrograms waits until no Windows program with a path below dir on its command
// line runs. A share server whose daemon was killed while starting it ends by
// itself; but if Wine was in the midst of starting it, it has one thread, which waits
// for its maker for ever, and none of its own code has run: that one is killed.
func endPrograms(t *testing.T, dir string) {
	t.Helper()
	begin := time.Now()
	for {
		left := programs(t, dir)
		waited := time.Since(begin)
		if len(left) == 0 {
			return
		}
		if waited > patience {
			t.Errorf("programs are left: %q", slices.Collect(maps.Values(left)))
			return
		}
		for pid := range left {
			if waited > beginTime && oneThread(pid) {
				t.Logf("killed, as it never began: %s", left[pid])
				if p, err := os.FindProcess(pid); err == nil {
					_ = p.Kill()
				}
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func oneThread(pid int) bool {
	threads, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(pid), "task"))
	return err == nil && len(threads) == 1
}

// programs are the command lines of processes that name dir as Windows programs do, by their ids.
func programs(t *testing.T, dir string) map[int]string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	found := map[int]string{}
	for _, file := range files {
		line, err := os.ReadFile(file) // one that has ended meanwhile has none
		pid, numberErr := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err == nil && numberErr == nil && bytes.Contains(line, []byte(Path(dir))) {
			found[pid] = strings.TrimSpace(strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}
