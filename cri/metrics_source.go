package cri

import (
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	guestapi "github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/podsandbox"
)

// baseLabels are on every metric, as in cAdvisor's output through kubelet.
var baseLabels = []string{"container", "id", "image", "name", "namespace", "pod"}

// metricSource is what the metrics of one container, or of one pod as a whole, are read from.
type metricSource struct {
	id, container, image string // the pod as a whole has no container and no image
	meta                 podsandbox.Meta
	started, seen        time.Time
	resources            podsandbox.Resources

	cpu     *guestapi.CPUStats
	memory  *guestapi.MemoryStats
	io      *guestapi.IOStats
	threads uint64

	// Of containers only.
	layer   *guestapi.FilesystemStats
	counted *guestapi.ContainerStats
	// Of pods only.
	interfaces []*guestapi.InterfaceStats
}

// metric is one family of metrics. What a source does not have, read has no points of.
type metric struct {
	name   string
	kind   runtimeapi.MetricType
	labels []string // beyond baseLabels
	help   string
	read   func(s *metricSource) []point
}

// point is a value with the values of its metric's own labels.
type point struct {
	value  uint64
	labels []string
}

func (m *metric) labelKeys() []string {
	return append(baseLabels[:len(baseLabels):len(baseLabels)], m.labels...)
}

// metrics reads every metric that the source has. Their timestamps are 0: measured for this very answer.
func (s *metricSource) metrics() []*runtimeapi.Metric {
	base := []string{s.container, s.id, s.image, s.id, s.meta.Namespace, s.meta.Name}
	var out []*runtimeapi.Metric
	for i := range allMetrics {
		m := &allMetrics[i]
		for _, p := range m.read(s) {
			out = append(out, &runtimeapi.Metric{
				Name: m.name, MetricType: m.kind, Value: u64(p.value),
				LabelValues: append(base[:len(base):len(base)], p.labels...),
			})
		}
	}
	return out
}

func one(v uint64, labels ...string) []point { return []point{{v, labels}} }

// ofCPU, ofMemory, ... read a number of a part that a source may lack.

func ofCPU(read func(*guestapi.CPUStats) uint64) func(*metricSource) []point {
	return func(s *metricSource) []point {
		if s.cpu == nil {
			return nil
		}
		return one(read(s.cpu))
	}
}

func ofMemory(read func(*guestapi.MemoryStats) uint64) func(*metricSource) []point {
	return func(s *metricSource) []point {
		if s.memory == nil {
			return nil
		}
		return one(read(s.memory))
	}
}

func ofLayer(read func(*guestapi.FilesystemStats) uint64) func(*metricSource) []point {
	return func(s *metricSource) []point {
		if s.layer == nil {
			return nil
		}
		return one(read(s.layer), "/")
	}
}

func ofCounted(read func(*guestapi.ContainerStats) uint64) func(*metricSource) []point {
	return func(s *metricSource) []point {
		if s.counted == nil {
			return nil
		}
		return one(read(s.counted))
	}
}

func ofResources(read func(*podsandbox.Resources) int64) func(*metricSource) []point {
	return func(s *metricSource) []point { return one(uint64(max(read(&s.resources), 0))) }
}

func ofInterfaces(read func(*guestapi.InterfaceStats) uint64) func(*metricSource) []point {
	return func(s *metricSource) (points []point) {
		for _, n := range s.interfaces {
			points = append(points, point{read(n), []string{n.GetName()}})
		}
		return points
	}
}

func ofDevices(read func(*guestapi.DeviceIO) uint64) func(*metricSource) []point {
	return func(s *metricSource) (points []point) {
		for _, d := range s.io.GetDevices() {
			points = append(points, point{read(d), []string{deviceLabel(d)}})
		}
		return points
	}
}

// ofPressure reads the pressure that get finds: waiting is some tasks', stalled all tasks'.
func ofPressure(get func(*metricSource) *guestapi.Pressure, part func(*guestapi.Pressure) *guestapi.Stall) func(*metricSource) []point {
	return func(s *metricSource) []point {
		p := get(s)
		if p == nil {
			return nil
		}
		return one(seconds(part(p).GetTotalNanos()))
	}
}

func seconds(nanos uint64) uint64 { return nanos / uint64(time.Second) }
