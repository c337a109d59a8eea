package hostcgroup

import (
	"os"
	"path/filepath"
	"testing"
)

func TestRead(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  Limits
	}{
		"v2 without limits": {map[string]string{"cpu.max": "max 100000\n", "memory.max": "max\n"}, Limits{}},
		"v2 with both":      {map[string]string{"cpu.max": "50000 100000\n", "memory.max": "1048576\n"}, Limits{Quota: 50000, Period: 100000, Memory: 1 << 20}},
		"v1 without limits": {map[string]string{"cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n", "memory.limit_in_bytes": "9223372036854771712\n"}, Limits{}},
		"v1 with memory":    {map[string]string{"cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n", "memory.limit_in_bytes": "4096\n"}, Limits{Memory: 4096}},
		"v1 with both":      {map[string]string{"cpu.cfs_quota_us": "20000\n", "cpu.cfs_period_us": "10000\n", "memory.limit_in_bytes": "4096\n"}, Limits{Quota: 20000, Period: 10000, Memory: 4096}},
		"nonsense":          {map[string]string{"cpu.max": "5", "memory.max": "much\n"}, Limits{}},
	} {
		dir := t.TempDir()
		for file, content := range c.files {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got, found := read([]string{filepath.Join(dir, "gone"), dir}); got != c.want || !found {
			t.Errorf("%s: %+v, %t", name, got, found)
		}
	}
	if _, found := read([]string{"/nowhere"}); found {
		t.Error("found a cgroup that is not there")
	}
}
