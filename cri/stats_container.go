package cri

import (
	"context"

	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	guestapi "github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/podsandbox"
)

// ContainerStats tells the resource use of a running container.
func (s *Server) ContainerStats(ctx context.Context, r *runtimeapi.ContainerStatsRequest) (*runtimeapi.ContainerStatsResponse, error) {
	c, err := s.container(r.GetContainerId())
	if err != nil {
		return nil, err
	}
	if c.State != podsandbox.ContainerRunning {
		return nil, errorf(codes.FailedPrecondition, "container %s is not running but %s: it has no statistics", c.ID, containerState(c.State))
	}
	st, err := s.stats.container(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	return &runtimeapi.ContainerStatsResponse{Stats: s.containerStats(&c, st, s.scratchMountpoint(ctx))}, nil
}

// ListContainerStats tells the resource use of the running containers that a filter lets through.
func (s *Server) ListContainerStats(ctx context.Context, r *runtimeapi.ListContainerStatsRequest) (*runtimeapi.ListContainerStatsResponse, error) {
	items, err := s.listContainerStats(ctx, r.GetFilter())
	if err != nil {
		return nil, err
	}
	return &runtimeapi.ListContainerStatsResponse{Stats: items}, nil
}

// StreamContainerStats tells the same in parts.
func (s *Server) StreamContainerStats(r *runtimeapi.StreamContainerStatsRequest, stream runtimeapi.RuntimeService_StreamContainerStatsServer) error {
	items, err := s.listContainerStats(stream.Context(), r.GetFilter())
	if err != nil {
		return err
	}
	return sendInParts(items, func(part []*runtimeapi.ContainerStats) error {
		return stream.Send(&runtimeapi.StreamContainerStatsResponse{ContainerStats: part})
	})
}

func (s *Server) listContainerStats(ctx context.Context, f *runtimeapi.ContainerStatsFilter) ([]*runtimeapi.ContainerStats, error) {
	selected, err := s.selectContainers(f.GetId(), f.GetPodSandboxId(), f.GetLabelSelector())
	if err != nil {
		return nil, err
	}
	running := make(map[string]*podsandbox.ContainerStatus, len(selected))
	wanted := map[string]bool{}
	for i := range selected {
		if c := &selected[i]; c.State == podsandbox.ContainerRunning {
			running[c.ID] = c
			wanted[c.SandboxID] = true
		}
	}
	samples, err := s.stats.pods(ctx, s.sandboxesNamed(wanted), podsandbox.StatsUsage)
	if err != nil {
		return nil, err
	}
	mountpoint := s.scratchMountpoint(ctx)
	items := make([]*runtimeapi.ContainerStats, 0, len(running))
	for _, p := range samples {
		for _, st := range p.stats.Containers {
			// A guest may name anything: only containers of this very pod are believed.
			if c := running[st.GetId()]; c != nil && c.SandboxID == p.sandbox.ID {
				delete(running, st.GetId())
				items = append(items, s.containerStats(c, st, mountpoint))
			}
		}
	}
	return items, nil
}

func (s *Server) sandboxesNamed(ids map[string]bool) []podsandbox.SandboxStatus {
	list := make([]podsandbox.SandboxStatus, 0, len(ids))
	for _, sb := range s.runtime.Sandboxes() {
		if ids[sb.ID] {
			list = append(list, sb)
		}
	}
	return list
}

// containerStats translates one container's sample and adds its CPU rate.
func (s *Server) containerStats(c *podsandbox.ContainerStatus, st *guestapi.ContainerStats, mountpoint string) *runtimeapi.ContainerStats {
	out := containerUsage(st, mountpoint)
	out.Attributes = &runtimeapi.ContainerAttributes{
		Id:          c.ID,
		Metadata:    containerMetadata(&c.Config),
		Labels:      c.Config.Labels,
		Annotations: c.Config.Annotations,
	}
	s.stats.addRate(c.ID, out.Cpu)
	return out
}

// addRate fills in the rate, once two samples are there.
func (c *statsCollector) addRate(id string, cpu *runtimeapi.CpuUsage) {
	if cpu == nil {
		return
	}
	rate, ok := c.rates.observe(id, uint64(cpu.GetTimestamp()), cpu.GetUsageCoreNanoSeconds().GetValue())
	if ok {
		cpu.UsageNanoCores = u64(rate)
	}
}

// scratchMountpoint is where the writable layers are on the host; "" if it cannot be told.
func (s *Server) scratchMountpoint(ctx context.Context) string {
	if s.cfg.ScratchMountpoint != "" {
		return s.cfg.ScratchMountpoint
	}
	info, err := s.images.FSInfo(ctx)
	if err != nil {
		return ""
	}
	return info.Mountpoint
}
