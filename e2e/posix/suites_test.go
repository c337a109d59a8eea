package posix

import (
	"maps"
	"testing"
)

func TestCases(t *testing.T) {
	for _, tc := range []struct {
		name   string
		read   func(string) map[string]outcome
		output string
		want   map[string]outcome
	}{
		{"go test", goCases, "=== RUN   TestAll/Link\n--- FAIL: TestAll (0.1s)\n    --- PASS: TestAll/Link (0.01s)\n    --- FAIL: TestAll/FdLeak (0.0s)\n    --- SKIP: TestAll/XAttr (0.0s)\n",
			map[string]outcome{"Link": passed, "FdLeak": failed, "XAttr": skipped}},
		{"libfuse", libfuseCases, "  1 [create] OK\n  2 [create+unlink] unlink() - No such file or directory\n 10 [open(O_CREAT) in read-only directory] OK\n1 tests failed\n",
			map[string]outcome{"1 create": passed, "2 create+unlink": failed, "10 open(O_CREAT) in read-only directory": passed}},
		{"libfuse complains twice", libfuseCases, "  3 [truncate(5)] check_size() - length 4\n  3 [truncate(5)] check_data() - short\n",
			map[string]outcome{"3 truncate(5)": failed}},
		{"told", told, "noise\ncase flock 0\ncase verity 4\ncase speedtest1 --journal wal 1\nsome text\ncase broken\n",
			map[string]outcome{"flock": passed, "verity": skipped, "speedtest1 --journal wal": failed}},
		{"nothing", told, "sh: not found\n", map[string]outcome{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.read(tc.output); !maps.Equal(got, tc.want) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}
