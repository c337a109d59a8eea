package cri

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	rt "k8s.io/cri-api/pkg/apis/runtime/v1"

	guestapi "github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/podsandbox"
)

// sample is a guest's answer at a time, with some CPU used.
func sample(id string, at time.Time, cpu time.Duration) *podsandbox.SandboxStats {
	pressure := &guestapi.Pressure{Some: &guestapi.Stall{TotalNanos: 7e9, Avg10: 1234}, Full: &guestapi.Stall{TotalNanos: 3e9}}
	c := &guestapi.CPUStats{UsageNanos: uint64(cpu), Pressure: pressure}
	m := &guestapi.MemoryStats{UsageBytes: 300, WorkingSetBytes: 200, RssBytes: 100, SwapBytes: 5, SwapAvailableBytes: 6, LimitBytes: 1000, OomKills: 2, PageFaults: 9, Pressure: pressure}
	io := &guestapi.IOStats{Devices: []*guestapi.DeviceIO{{Major: 8, Minor: 16, ReadBytes: 11, WriteBytes: 12}}, Pressure: pressure}
	return &podsandbox.SandboxStats{
		Pod: &guestapi.PodStats{UnixNanos: at.UnixNano(), Cpu: c, Memory: m, Io: io, Processes: 4, Interfaces: []*guestapi.InterfaceStats{
			{Name: "lo", RxBytes: 9}, {Name: "net1", RxBytes: 2}, {Name: "eth0", RxBytes: 1},
		}},
		Containers: []*guestapi.ContainerStats{
			{Id: id, UnixNanos: at.UnixNano(), Cpu: c, Memory: m, Io: io,
				WritableLayer: &guestapi.FilesystemStats{UsedBytes: 10, UsedInodes: 3, CapacityBytes: 1 << 30},
				Pids:          5, Processes: 3, FileDescriptors: 30, Sockets: 2, OpenFilesLimit: 1024},
			{Id: "made-up", UnixNanos: at.UnixNano()},
		},
	}
}

func TestStats(t *testing.T) {
	h := newHarness(t, testConfig())
	ctx := testContext(t)
	sb, c := h.runPod(goodContainer())
	at, cpu := time.Unix(1000, 0), time.Second
	h.rt.sandboxStats = func(context.Context, string) (*podsandbox.SandboxStats, error) { return sample(c, at, cpu), nil }
	first, err := h.pods.ListContainerStats(ctx, &rt.ListContainerStatsRequest{})
	if err != nil || len(first.Stats) != 1 {
		t.Fatalf("%v, %v", first, err)
	}
	if first.Stats[0].Cpu.UsageNanoCores != nil {
		t.Errorf("a rate of one sample: %v", first.Stats[0].Cpu)
	}
	at, cpu = at.Add(2*time.Second), cpu+time.Second
	second, err := h.pods.ContainerStats(ctx, &rt.ContainerStatsRequest{ContainerId: c[:8]})
	if err != nil {
		t.Fatal(err)
	}
	st := second.Stats
	if st.Cpu.UsageNanoCores.GetValue() != 5e8 || st.Cpu.UsageCoreNanoSeconds.Value != 2e9 || st.Attributes.Id != c {
		t.Errorf("%v", st)
	}
	if st.Memory.AvailableBytes.Value != 800 || st.Swap.SwapUsageBytes.Value != 5 || st.Swap.SwapAvailableBytes.Value != 6 || st.WritableLayer.FsId.Mountpoint != "/var/lib/paddock" {
		t.Errorf("%v", st)
	}
	for what, psi := range map[string]*rt.PsiStats{"CPU": st.Cpu.Psi, "memory": st.Memory.Psi, "IO": st.Io.Psi} {
		if psi.GetSome().GetTotal() != 7e9 || psi.GetSome().GetAvg10() != 12.34 || psi.GetFull().GetTotal() != 3e9 {
			t.Errorf("pressure on %s: %v", what, psi)
		}
	}
	pod, err := h.pods.PodSandboxStats(ctx, &rt.PodSandboxStatsRequest{PodSandboxId: sb})
	if err != nil {
		t.Fatal(err)
	}
	l := pod.Stats.Linux
	if l.Network.DefaultInterface.Name != "eth0" || len(l.Network.Interfaces) != 1 || l.Process.ProcessCount.Value != 4 || l.Io.Psi == nil || len(l.Containers) != 1 {
		t.Errorf("%v", l)
	}
}

// TestStuckGuestIsLeftOut: a guest that never answers, not even to the end of
// its context, costs each list its time limit and one goroutine.
func TestStuckGuestIsLeftOut(t *testing.T) {
	cfg := testConfig()
	cfg.StatsTimeout = 50 * time.Millisecond
	h := newHarness(t, cfg)
	stuck, _ := h.runPod(goodContainer())
	_, c := h.runPod(goodContainer())
	release := make(chan struct{})
	defer close(release)
	var asked atomic.Int32
	h.rt.sandboxStats = func(_ context.Context, id string) (*podsandbox.SandboxStats, error) {
		if id == stuck {
			asked.Add(1)
			<-release
		}
		return sample(c, time.Now(), 1), nil
	}
	for range 3 {
		resp, err := h.pods.ListPodSandboxStats(testContext(t), &rt.ListPodSandboxStatsRequest{})
		if err != nil || len(resp.Stats) != 1 || resp.Stats[0].Attributes.Id == stuck {
			t.Fatalf("%v, %v", resp, err)
		}
		metrics, err := h.pods.ListPodSandboxMetrics(testContext(t), &rt.ListPodSandboxMetricsRequest{})
		if err != nil || len(metrics.PodMetrics) != 1 || metrics.PodMetrics[0].PodSandboxId == stuck {
			t.Fatalf("%v, %v", metrics, err)
		}
	}
	if n := asked.Load(); n != 2 { // for statistics and for metrics
		t.Errorf("the stuck guest was asked %d times at once", n)
	}
}

func TestRateCache(t *testing.T) {
	var c rateCache
	for i, s := range []struct {
		at, usage, want uint64
		known           bool
	}{
		{1e9, 0, 0, false},
		{1.1e9, 1e8, 0, false}, // too close
		{2e9, 5e8, 5e8, true},
		{2.1e9, 9e8, 5e8, true}, // too close: the last one
		{4e9, 4.5e9, 2e9, true},
		{3e9, 5e9, 0, false}, // the clock went back
		{5e9, 1e9, 0, false}, // the count went back
		{6e9, 1e9, 0, true},
	} {
		if got, known := c.observe("a", s.at, s.usage); got != s.want || known != s.known {
			t.Errorf("sample %d: %d, %t", i, got, known)
		}
	}
	for i := range 3 * maxRates {
		c.observe(fmt.Sprint(i), uint64(i), 0)
	}
	if len(c.samples) > maxRates {
		t.Errorf("%d samples are kept", len(c.samples))
	}
}
