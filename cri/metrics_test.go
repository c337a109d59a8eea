package cri

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	rt "k8s.io/cri-api/pkg/apis/runtime/v1"

	guestapi "github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/podsandbox"
)

// series are metrics by name and the values of the labels that a metric has beyond the base.
func series(list []*rt.Metric) map[string]uint64 {
	out := map[string]uint64{}
	for _, m := range list {
		key := m.Name
		if own := m.LabelValues[len(baseLabels):]; len(own) > 0 {
			key += "{" + strings.Join(own, ",") + "}"
		}
		out[key] = m.Value.GetValue()
	}
	return out
}

func TestMetrics(t *testing.T) {
	h := newHarness(t, testConfig())
	ctx := testContext(t)
	cfg := goodContainer()
	cfg.Linux.Resources = &rt.LinuxContainerResources{CpuQuota: 50000, CpuShares: 512, MemoryLimitInBytes: 1000, MemorySwapLimitInBytes: -1}
	sb, c := h.runPod(cfg)
	h.rt.sandboxStats = func(context.Context, string) (*podsandbox.SandboxStats, error) {
		return sample(c, time.Now(), 2900*time.Millisecond), nil
	}
	resp, err := h.pods.ListPodSandboxMetrics(ctx, &rt.ListPodSandboxMetricsRequest{})
	if err != nil || len(resp.PodMetrics) != 1 || len(resp.PodMetrics[0].ContainerMetrics) != 1 {
		t.Fatalf("%v, %v", resp, err)
	}
	pod, container := resp.PodMetrics[0], resp.PodMetrics[0].ContainerMetrics[0]
	got := series(container.Metrics)
	for name, want := range map[string]uint64{
		"container_cpu_usage_seconds_total":                   2,
		"container_memory_working_set_bytes":                  200,
		"container_memory_failures_total{pgfault,hierarchy}":  9,
		"container_oom_events_total":                          2,
		"container_fs_usage_bytes{/}":                         10,
		"container_fs_limit_bytes{/}":                         1 << 30,
		"container_fs_reads_bytes_total{8:16}":                11,
		"container_blkio_device_usage_total{8:16,8,16,Write}": 12,
		"container_processes":                                 3,
		"container_threads":                                   5,
		"container_file_descriptors":                          30,
		"container_sockets":                                   2,
		"container_ulimits_soft{max_open_files}":              1024,
		"container_pressure_io_waiting_seconds_total":         7,
		"container_pressure_cpu_stalled_seconds_total":        3,
		"container_spec_cpu_period":                           100000,
		"container_spec_cpu_quota":                            50000,
		"container_spec_cpu_shares":                           512,
		"container_spec_memory_limit_bytes":                   1000,
		"container_spec_memory_swap_limit_bytes":              0,
		"container_spec_memory_reservation_limit_bytes":       0,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s: %d, %t, want %d", name, v, ok, want)
		}
	}
	if seen := got["container_last_seen"]; time.Since(time.Unix(int64(seen), 0)) > time.Minute {
		t.Errorf("last seen %d", seen)
	}
	whole := series(pod.Metrics)
	if whole["container_network_receive_bytes_total{net1}"] != 2 || whole["container_network_receive_bytes_total{eth0}"] != 1 ||
		whole["container_cpu_usage_seconds_total"] != 2 || whole["container_threads"] != 4 {
		t.Errorf("of the pod: %v", whole)
	}
	for _, absent := range []string{"container_network_receive_bytes_total{lo}", "container_processes", "container_fs_usage_bytes{/}"} {
		if _, ok := whole[absent]; ok {
			t.Errorf("the pod has %s", absent)
		}
	}
	if want := []string{"app", c, "example.org/app:1", c, "default", "web"}; fmt.Sprint(container.Metrics[0].LabelValues) != fmt.Sprint(want) {
		t.Errorf("labels of the container: %q", container.Metrics[0].LabelValues)
	}
	if want := []string{"", sb, "", sb, "default", "web"}; fmt.Sprint(pod.Metrics[0].LabelValues) != fmt.Sprint(want) {
		t.Errorf("labels of the pod: %q", pod.Metrics[0].LabelValues)
	}
	describes(t, h, append(pod.Metrics, container.Metrics...))
}

// describes checks that metrics and their descriptors fit together, each series once.
func describes(t *testing.T, h *harness, metrics []*rt.Metric) {
	t.Helper()
	resp, err := h.pods.ListMetricDescriptors(testContext(t), &rt.ListMetricDescriptorsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]int{}
	for _, d := range resp.Descriptors {
		if _, twice := keys[d.Name]; twice || d.Help == "" {
			t.Errorf("descriptor %v", d)
		}
		keys[d.Name] = len(d.LabelKeys)
	}
	seen := map[string]bool{}
	had := map[string]bool{}
	for _, m := range metrics {
		had[m.Name] = true
		id := m.Name + strings.Join(m.LabelValues, "\x00")
		if n, ok := keys[m.Name]; !ok || n != len(m.LabelValues) || seen[id] || m.Timestamp != 0 {
			t.Errorf("metric %v: %d label keys", m, n)
		}
		seen[id] = true
	}
	for name := range keys {
		if !had[name] {
			t.Errorf("%s is described, but never measured", name)
		}
	}
}

func TestMetricsOfASilentGuest(t *testing.T) {
	h := newHarness(t, testConfig())
	_, c := h.runPod(goodContainer())
	h.rt.sandboxStats = func(context.Context, string) (*podsandbox.SandboxStats, error) {
		return &podsandbox.SandboxStats{Containers: []*guestapi.ContainerStats{{Id: c}, {Id: "made-up"}}}, nil
	}
	stream, err := h.pods.StreamPodSandboxMetrics(testContext(t), &rt.StreamPodSandboxMetricsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	part, err := stream.Recv()
	if err != nil || len(part.PodSandboxMetrics) != 1 || len(part.PodSandboxMetrics[0].ContainerMetrics) != 1 {
		t.Fatalf("%v, %v", part, err)
	}
	if _, ok := series(part.PodSandboxMetrics[0].ContainerMetrics[0].Metrics)["container_memory_rss"]; ok {
		t.Error("memory of a guest that tells none")
	}
	if _, err := stream.Recv(); err != io.EOF {
		t.Error(err)
	}
}

// TestMetricsAreDocumented: docs/metrics.md has a row for each, with its type.
func TestMetricsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "| `container_") {
			rows++
		}
	}
	if rows != len(allMetrics) {
		t.Errorf("docs/metrics.md has %d metrics, there are %d", rows, len(allMetrics))
	}
	for _, m := range allMetrics {
		if row := fmt.Sprintf("| `%s` | %s |", m.name, strings.ToLower(m.kind.String())); !strings.Contains(string(text), row) {
			t.Errorf("docs/metrics.md has no row %s", row)
		}
	}
}
