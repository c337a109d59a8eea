package windowsagent

import (
	"context"
	"slices"
	"time"

	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/bridge"
)

// tick is the unit of the guest's processor times, in nanoseconds.
const tick = 100

// Stats implements api.AgentService. The pod's are its containers' together: the
// guest service tells nothing of its VM.
func (a *Agent) Stats(ctx context.Context, req *api.StatsRequest) (*api.StatsResponse, error) {
	if _, err := a.guest(ctx); err != nil {
		return nil, err
	}
	resp := &api.StatsResponse{}
	pod := &api.PodStats{UnixNanos: time.Now().UnixNano(), Cpu: &api.CPUStats{}, Memory: &api.MemoryStats{}}
	for id, handle := range a.running() {
		wanted := len(req.ContainerIds) == 0 || slices.Contains(req.ContainerIds, id)
		if !wanted && !req.Pod {
			continue
		}
		s, err := containerStats(ctx, id, handle)
		if err != nil {
			if gone(err) {
				continue // it ended meanwhile
			}
			return nil, err
		}
		if wanted {
			resp.Containers = append(resp.Containers, s)
		}
		add(pod, s)
	}
	if req.Pod {
		resp.Pod = pod
	}
	return resp, nil
}

// running are the handles of the containers that run, by id.
func (a *Agent) running() map[string]*bridge.Container {
	a.mu.Lock()
	defer a.mu.Unlock()
	live := map[string]*bridge.Container{}
	for id, c := range a.containers {
		if c.PID != 0 && c.Exit == nil && c.handle != nil {
			live[id] = c.handle
		}
	}
	return live
}

func containerStats(ctx context.Context, id string, handle *bridge.Container) (*api.ContainerStats, error) {
	p, err := handle.Properties(ctx, bridge.StatisticsProperty)
	if err != nil {
		return nil, err
	}
	list, err := handle.Properties(ctx, bridge.ProcessListProperty)
	if err != nil {
		return nil, err
	}
	n := uint64(len(list.ProcessList))
	out := &api.ContainerStats{Id: id, UnixNanos: time.Now().UnixNano(), Pids: n, Processes: n, Cpu: &api.CPUStats{}, Memory: &api.MemoryStats{}}
	if s := p.Statistics; s != nil {
		out.Cpu = &api.CPUStats{
			UsageNanos: s.Processor.TotalRuntime100ns * tick, UserNanos: s.Processor.RuntimeUser100ns * tick,
			SystemNanos: s.Processor.RuntimeKernel100ns * tick,
		}
		out.Memory = &api.MemoryStats{
			UsageBytes: s.Memory.MemoryUsageCommitBytes, PeakBytes: s.Memory.MemoryUsageCommitPeakBytes,
			WorkingSetBytes: s.Memory.MemoryUsagePrivateWorkingSetBytes, RssBytes: s.Memory.MemoryUsagePrivateWorkingSetBytes,
		}
	}
	return out, nil
}

func add(pod *api.PodStats, s *api.ContainerStats) {
	pod.Cpu.UsageNanos += s.Cpu.UsageNanos
	pod.Cpu.UserNanos += s.Cpu.UserNanos
	pod.Cpu.SystemNanos += s.Cpu.SystemNanos
	pod.Memory.UsageBytes += s.Memory.UsageBytes
	pod.Memory.WorkingSetBytes += s.Memory.WorkingSetBytes
	pod.Memory.RssBytes += s.Memory.RssBytes
	pod.Processes += s.Pids
}
