package tests

import (
	"strings"
	"syscall"
	"testing"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// podMetrics asks for the metrics of a pod.
func podMetrics(t *testing.T, id string) *runtimeapi.PodSandboxMetrics {
	t.Helper()
	resp, err := env.client.Runtime.ListPodSandboxMetrics(t.Context(), &runtimeapi.ListPodSandboxMetricsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range resp.GetPodMetrics() {
		if p.GetPodSandboxId() == id {
			return p
		}
	}
	return nil
}

// sums adds a pod's or container's metrics of one name up, over their own labels.
func sums(metrics []*runtimeapi.Metric) map[string]uint64 {
	out := map[string]uint64{}
	for _, m := range metrics {
		out[m.GetName()] += m.GetValue().GetValue()
	}
	return out
}

func TestMetrics(t *testing.T) {
	p := runPod(t, nil)
	// It uses more than a second of CPU, writes 3 MB to disk, has a child killed for want of
	// memory, sends and receives, and holds 7 MB.
	c := p.run("main", `
		head -c 3000000 /dev/urandom > /file; sync
		sh -c 'exec dd if=/dev/zero of=/dev/null bs=128M count=1' || true
		head -c 7000000 /dev/zero > /dev/shm/held
		ping -c 1 127.0.0.1 >/dev/null
		i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done
		exec sleep 1000`, func(cfg *runtimeapi.ContainerConfig) {
		cfg.Linux.Resources = &runtimeapi.LinuxContainerResources{MemoryLimitInBytes: 64 << 20, CpuPeriod: 100000, CpuQuota: 90000, CpuShares: 512}
	})
	var got map[string]uint64
	eventually(t, "the container's metrics tell what it did", func() bool {
		m := podMetrics(t, p.id)
		if len(m.GetContainerMetrics()) != 1 {
			return false
		}
		got = sums(m.GetContainerMetrics()[0].GetMetrics())
		return got["container_cpu_usage_seconds_total"] >= 1 && got["container_fs_writes_bytes_total"] >= 3000000 &&
			got["container_oom_events_total"] == 1 && got["container_memory_rss"]+got["container_memory_cache"] >= 7000000 &&
			got["container_cpu_cfs_periods_total"] > 0 && got["container_fs_usage_bytes"] >= 2900000
	})
	for name, want := range map[string]uint64{
		"container_spec_memory_limit_bytes": 64 << 20, "container_spec_cpu_quota": 90000, "container_spec_cpu_period": 100000, "container_spec_cpu_shares": 512,
		"container_threads_max": 0,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %d, want %d", name, v, want)
		}
	}
	for _, name := range []string{
		"container_memory_max_usage_bytes", "container_memory_failcnt", "container_memory_kernel_usage", "container_processes",
		"container_threads", "container_file_descriptors", "container_ulimits_soft", "container_last_seen", "container_start_time_seconds",
	} {
		if got[name] == 0 {
			t.Errorf("%s is 0", name)
		}
	}
	checkDescriptors(t, podMetrics(t, p.id))
	consistent(t, p, c)
}

// checkDescriptors checks that every metric is described, with as many labels as values.
func checkDescriptors(t *testing.T, m *runtimeapi.PodSandboxMetrics) {
	t.Helper()
	resp, err := env.client.Runtime.ListMetricDescriptors(t.Context(), &runtimeapi.ListMetricDescriptorsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]int{}
	for _, d := range resp.GetDescriptors() {
		keys[d.GetName()] = len(d.GetLabelKeys())
	}
	all := append(m.GetMetrics(), m.GetContainerMetrics()[0].GetMetrics()...)
	had := map[string]bool{}
	for _, one := range all {
		had[one.GetName()] = true
		if n := keys[one.GetName()]; n == 0 || n != len(one.GetLabelValues()) {
			t.Errorf("%v has %d label keys", one, n)
		}
	}
	for name := range keys {
		if !had[name] {
			t.Errorf("%s is described, but not measured", name)
		}
	}
}

// consistent checks that metrics and statistics of an idle container agree.
func consistent(t *testing.T, p *pod, c *container) {
	t.Helper()
	eventually(t, "the container is idle", func() bool { return strings.Contains(c.exec("cat /proc/1/cmdline"), "sleep") })
	eventually(t, "metrics and statistics agree", func() bool {
		m := podMetrics(t, p.id)
		stats, err := env.client.Runtime.ListContainerStats(t.Context(), &runtimeapi.ListContainerStatsRequest{Filter: &runtimeapi.ContainerStatsFilter{Id: c.id}})
		if err != nil {
			t.Fatal(err)
		}
		if len(m.GetContainerMetrics()) != 1 || len(stats.GetStats()) != 1 {
			return false
		}
		got, st := sums(m.GetContainerMetrics()[0].GetMetrics()), stats.GetStats()[0]
		return got["container_memory_working_set_bytes"] == st.GetMemory().GetWorkingSetBytes().GetValue() &&
			got["container_cpu_usage_seconds_total"] == st.GetCpu().GetUsageCoreNanoSeconds().GetValue()/1e9 &&
			got["container_fs_usage_bytes"] == st.GetWritableLayer().GetUsedBytes().GetValue() &&
			st.GetCpu().GetPsi().GetSome() != nil && st.GetMemory().GetPsi().GetFull() != nil && st.GetIo().GetPsi().GetSome() != nil
	})
	whole := sums(podMetrics(t, p.id).GetMetrics())
	if _, ok := whole["container_network_receive_bytes_total"]; !ok || whole["container_cpu_usage_seconds_total"] == 0 {
		t.Errorf("the pod as a whole: %v", whole)
	}
}

// TestMetricsWithoutOne: a VM that does not answer costs the others nothing.
func TestMetricsWithoutOne(t *testing.T) {
	fine := runPod(t, nil)
	hung := runPod(t, func(cfg *runtimeapi.PodSandboxConfig) { cfg.Metadata.Name, cfg.Metadata.Uid = "hung", "hung" })
	process := vmProcess(t, hung.id)
	if err := syscall.Kill(process, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Kill(process, syscall.SIGCONT) })
	if m := podMetrics(t, fine.id); m == nil {
		t.Error("the pod that runs has no metrics")
	}
	if m := podMetrics(t, hung.id); m != nil {
		t.Errorf("metrics of a pod that hangs: %v", m)
	}
}
