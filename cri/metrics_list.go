package cri

import (
	"context"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	guestapi "github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/podsandbox"
)

// ListMetricDescriptors tells the metrics that ListPodSandboxMetrics may have.
func (s *Server) ListMetricDescriptors(context.Context, *runtimeapi.ListMetricDescriptorsRequest) (*runtimeapi.ListMetricDescriptorsResponse, error) {
	resp := &runtimeapi.ListMetricDescriptorsResponse{}
	for _, m := range allMetrics {
		resp.Descriptors = append(resp.Descriptors, &runtimeapi.MetricDescriptor{Name: m.name, Help: m.help, LabelKeys: m.labelKeys()})
	}
	return resp, nil
}

// ListPodSandboxMetrics measures every ready pod. One that does not answer in time is left out.
func (s *Server) ListPodSandboxMetrics(ctx context.Context, _ *runtimeapi.ListPodSandboxMetricsRequest) (*runtimeapi.ListPodSandboxMetricsResponse, error) {
	items, err := s.listPodMetrics(ctx)
	if err != nil {
		return nil, err
	}
	return &runtimeapi.ListPodSandboxMetricsResponse{PodMetrics: items}, nil
}

// StreamPodSandboxMetrics tells the same in parts.
func (s *Server) StreamPodSandboxMetrics(_ *runtimeapi.StreamPodSandboxMetricsRequest, stream runtimeapi.RuntimeService_StreamPodSandboxMetricsServer) error {
	items, err := s.listPodMetrics(stream.Context())
	if err != nil {
		return err
	}
	return sendInParts(items, func(part []*runtimeapi.PodSandboxMetrics) error {
		return stream.Send(&runtimeapi.StreamPodSandboxMetricsResponse{PodSandboxMetrics: part})
	})
}

func (s *Server) listPodMetrics(ctx context.Context) ([]*runtimeapi.PodSandboxMetrics, error) {
	samples, err := s.stats.pods(ctx, s.runtime.Sandboxes(), podsandbox.StatsCounted)
	if err != nil {
		return nil, err
	}
	containers := byID(s.runtime.Containers())
	items := make([]*runtimeapi.PodSandboxMetrics, 0, len(samples))
	for _, p := range samples {
		items = append(items, podMetrics(p, containers, time.Now()))
	}
	return items, nil
}

// podMetrics translates one pod's sample: the pod as a whole, then its running containers.
func podMetrics(p podSample, containers map[string]*podsandbox.ContainerStatus, now time.Time) *runtimeapi.PodSandboxMetrics {
	pod := p.stats.Pod
	whole := metricSource{
		id: p.sandbox.ID, meta: p.sandbox.Config.Meta,
		started: p.sandbox.Created, seen: now, resources: p.sandbox.Config.Resources,
		cpu: pod.GetCpu(), memory: pod.GetMemory(), io: pod.GetIo(),
		threads: pod.GetProcesses(), interfaces: withoutLoopback(pod.GetInterfaces()),
	}
	out := &runtimeapi.PodSandboxMetrics{PodSandboxId: p.sandbox.ID, Metrics: whole.metrics()}
	for _, st := range p.stats.Containers {
		c := containers[st.GetId()]
		if c == nil || c.SandboxID != p.sandbox.ID || c.State != podsandbox.ContainerRunning {
			continue
		}
		source := containerSource(c, st)
		source.meta, source.seen = whole.meta, now
		out.ContainerMetrics = append(out.ContainerMetrics, &runtimeapi.ContainerMetrics{ContainerId: c.ID, Metrics: source.metrics()})
	}
	return out
}

func containerSource(c *podsandbox.ContainerStatus, st *guestapi.ContainerStats) metricSource {
	image := c.Config.UserImage
	if image == "" {
		image = c.Config.Image
	}
	return metricSource{
		id: c.ID, container: c.Config.Meta.Name, image: image,
		started: c.Started, resources: c.Config.Resources,
		cpu: st.GetCpu(), memory: st.GetMemory(), io: st.GetIo(), layer: st.GetWritableLayer(),
		threads: st.GetPids(), counted: st,
	}
}
