//go:build linux

package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/paddock-run/paddock/guest/api"
)

// group makes a directory with the files of a group.
func group(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestStats(t *testing.T) {
	dir := group(t, map[string]string{
		"cpu.stat":            "usage_usec 10\nuser_usec 6\nsystem_usec 4\nnr_periods 3\nnr_throttled 2\nthrottled_usec 1\n",
		"cpu.pressure":        "some avg10=1.50 avg60=0.07 avg300=100.00 total=9\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=8\n",
		"memory.current":      "100\n",
		"memory.peak":         "120\n",
		"memory.max":          "max\n",
		"memory.stat":         "anon 10\nfile 20\nkernel 5\nfile_mapped 7\ninactive_file 30\nactive_file 4\npgfault 8\npgmajfault 1\n",
		"memory.events":       "low 0\nhigh 0\nmax 6\noom 2\noom_kill 1\n",
		"memory.swap.current": "3\n",
		"memory.swap.max":     "3\n",
		"io.stat":             "8:16 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n252:0 \nnonsense\n8:x rbytes=1\n",
		"pids.current":        "4\n",
		"pids.max":            "max\n",
	})
	pids, limit := Pids(dir)
	got := &api.ContainerStats{Cpu: CPU(dir), Memory: Memory(dir), Io: IO(dir), Pids: pids, PidsLimit: limit}
	want := &api.ContainerStats{
		Cpu: &api.CPUStats{
			UsageNanos: 10000, UserNanos: 6000, SystemNanos: 4000, Periods: 3, ThrottledPeriods: 2, ThrottledNanos: 1000,
			Pressure: &api.Pressure{Some: &api.Stall{TotalNanos: 9000, Avg10: 150, Avg60: 7, Avg300: 10000}, Full: &api.Stall{TotalNanos: 8000}},
		},
		Memory: &api.MemoryStats{
			UsageBytes: 100, WorkingSetBytes: 70, RssBytes: 10, CacheBytes: 20, SwapBytes: 3, PageFaults: 8, MajorPageFaults: 1,
			OomKills: 1, PeakBytes: 120, KernelBytes: 5, MappedFileBytes: 7, ActiveFileBytes: 4, InactiveFileBytes: 30, LimitHits: 6,
		},
		Io: &api.IOStats{Devices: []*api.DeviceIO{
			{Major: 8, Minor: 16, ReadBytes: 1, WriteBytes: 2, ReadOps: 3, WriteOps: 4}, {Major: 252},
		}},
		Pids: 4,
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

func TestStatsOfNoGroup(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	if c, m, io := CPU(dir), Memory(dir), IO(dir); c.UsageNanos != 0 || c.Pressure != nil || m.UsageBytes != 0 || len(io.Devices) != 0 {
		t.Errorf("%v %v %v", c, m, io)
	}
}

func TestDescriptors(t *testing.T) {
	before, _ := Descriptors([]int{os.Getpid()})
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if after, _ := Descriptors([]int{os.Getpid(), 1 << 30}); before == 0 || after != before+2 {
		t.Errorf("%d files, then %d", before, after)
	}
}

func TestReclaim(t *testing.T) {
	dir := group(t, map[string]string{"memory.current": "100\n", "memory.stat": "anon 60\nactive_file 30\ninactive_file 9\nslab_reclaimable 1\n"})
	if err := Reclaim(dir, 100); err != nil {
		t.Error(err)
	}
	if err := Reclaim(dir, 99); !errors.Is(err, ErrInUse) {
		t.Errorf("below the use: %v", err)
	}
	if err := Reclaim(dir, 50); !errors.Is(err, ErrInUse) {
		t.Errorf("far below the use: %v", err)
	}
	if asked, _ := os.ReadFile(filepath.Join(dir, "memory.reclaim")); string(asked) != "1" {
		t.Errorf("asked to reclaim %q", asked)
	}
}

func TestLimit(t *testing.T) {
	quota, period, memory, none := int64(50000), uint64(20000), int64(1<<20), int64(-1)
	for _, c := range []struct {
		r           specs.LinuxResources
		cpu, memory string
	}{
		{specs.LinuxResources{}, "max 100000", "max"},
		{specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: &quota, Period: &period}, Memory: &specs.LinuxMemory{Limit: &memory}}, "50000 20000", "1048576"},
		{specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: &none}, Memory: &specs.LinuxMemory{Limit: &none}}, "max 100000", "max"},
	} {
		dir := t.TempDir()
		if err := Limit(dir, &c.r); err != nil {
			t.Fatal(err)
		}
		cpu, _ := os.ReadFile(filepath.Join(dir, "cpu.max"))
		mem, _ := os.ReadFile(filepath.Join(dir, "memory.max"))
		if string(cpu) != c.cpu || string(mem) != c.memory {
			t.Errorf("%+v: cpu.max %q, memory.max %q", c.r, cpu, mem)
		}
	}
}
