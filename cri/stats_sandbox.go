package cri

import (
	"context"

	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/podsandbox"
)

// PodSandboxStats tells the resource use of a pod.
func (s *Server) PodSandboxStats(ctx context.Context, r *runtimeapi.PodSandboxStatsRequest) (*runtimeapi.PodSandboxStatsResponse, error) {
	sb, err := s.sandbox(r.GetPodSandboxId())
	if err != nil {
		return nil, err
	}
	if sb.State != podsandbox.SandboxReady {
		return nil, errorf(codes.FailedPrecondition, "pod sandbox %s is not ready: it has no statistics", sb.ID)
	}
	st, err := s.stats.pod(ctx, sb.ID, podsandbox.StatsUsage)
	if err != nil {
		return nil, err
	}
	containers, err := s.selectContainers("", sb.ID, nil)
	if err != nil {
		return nil, err
	}
	return &runtimeapi.PodSandboxStatsResponse{
		Stats: s.podStats(podSample{sb, st}, byID(containers), s.scratchMountpoint(ctx)),
	}, nil
}

// ListPodSandboxStats tells the resource use of the ready pods that a filter lets through.
func (s *Server) ListPodSandboxStats(ctx context.Context, r *runtimeapi.ListPodSandboxStatsRequest) (*runtimeapi.ListPodSandboxStatsResponse, error) {
	items, err := s.listPodStats(ctx, r.GetFilter())
	if err != nil {
		return nil, err
	}
	return &runtimeapi.ListPodSandboxStatsResponse{Stats: items}, nil
}

// StreamPodSandboxStats tells the same in parts.
func (s *Server) StreamPodSandboxStats(r *runtimeapi.StreamPodSandboxStatsRequest, stream runtimeapi.RuntimeService_StreamPodSandboxStatsServer) error {
	items, err := s.listPodStats(stream.Context(), r.GetFilter())
	if err != nil {
		return err
	}
	return sendInParts(items, func(part []*runtimeapi.PodSandboxStats) error {
		return stream.Send(&runtimeapi.StreamPodSandboxStatsResponse{PodSandboxStats: part})
	})
}

func (s *Server) listPodStats(ctx context.Context, f *runtimeapi.PodSandboxStatsFilter) ([]*runtimeapi.PodSandboxStats, error) {
	selected, err := s.selectSandboxes(f.GetId(), f.GetLabelSelector())
	if err != nil {
		return nil, err
	}
	samples, err := s.stats.pods(ctx, selected, podsandbox.StatsUsage)
	if err != nil {
		return nil, err
	}
	containers := byID(s.runtime.Containers())
	mountpoint := s.scratchMountpoint(ctx)
	items := make([]*runtimeapi.PodSandboxStats, 0, len(samples))
	for _, p := range samples {
		items = append(items, s.podStats(p, containers, mountpoint))
	}
	return items, nil
}

func byID(list []podsandbox.ContainerStatus) map[string]*podsandbox.ContainerStatus {
	m := make(map[string]*podsandbox.ContainerStatus, len(list))
	for i := range list {
		m[list[i].ID] = &list[i]
	}
	return m
}

// podStats translates one pod's sample. A node's kubelet reads the form of its own
// OS, of all pods; a Windows pod has Windows' as well.
func (s *Server) podStats(p podSample, containers map[string]*podsandbox.ContainerStatus, mountpoint string) *runtimeapi.PodSandboxStats {
	out := &runtimeapi.PodSandboxStats{Attributes: &runtimeapi.PodSandboxAttributes{
		Id:          p.sandbox.ID,
		Metadata:    sandboxMetadata(&p.sandbox.Config.Meta),
		Labels:      p.sandbox.Config.Labels,
		Annotations: p.sandbox.Config.Annotations,
	}}
	linux := podUsage(p.stats.Pod)
	s.stats.addRate(p.sandbox.ID, linux.Cpu)
	for _, st := range p.stats.Containers {
		c := containers[st.GetId()]
		if c == nil || c.SandboxID != p.sandbox.ID || c.State != podsandbox.ContainerRunning {
			continue
		}
		linux.Containers = append(linux.Containers, s.containerStats(c, st, mountpoint))
	}
	if os, _ := p.sandbox.Config.Handler.OS(); os == guest.Windows || s.cfg.HostOS == guest.Windows {
		out.Windows = windowsPodUsage(linux)
	}
	if s.cfg.HostOS != guest.Windows {
		out.Linux = linux
	}
	return out
}
