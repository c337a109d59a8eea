//go:build linux

package agent

import (
	"bufio"
	"context"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/guest/agent/boot"
	"github.com/paddock-run/paddock/guest/agent/cgroup"
	"github.com/paddock-run/paddock/guest/api"
)

// Stats tells resource use.
func (a *Agent) Stats(_ context.Context, req *api.StatsRequest) (*api.StatsResponse, error) {
	wanted := a.allContainers()
	if len(req.ContainerIds) > 0 {
		wanted = wanted[:0]
		for _, id := range req.ContainerIds {
			c, err := a.container(id)
			if err != nil {
				return nil, err
			}
			wanted = append(wanted, c)
		}
	}
	resp := &api.StatsResponse{}
	for _, c := range wanted {
		resp.Containers = append(resp.Containers, a.containerStats(c, req.Details))
	}
	if req.Pod {
		resp.Pod = a.podStats()
	}
	return resp, nil
}

func (a *Agent) containerStats(c *container, details bool) *api.ContainerStats {
	dir := c.cgroup()
	pids, limit := cgroup.Pids(dir)
	used := a.sandbox.usage.get(c.id, c.writable()+"/u")
	layer := fileSystem(scratchDir)
	layer.UsedBytes, layer.UsedInodes = used.bytes, used.inodes
	stats := &api.ContainerStats{
		Id: c.id, UnixNanos: time.Now().UnixNano(),
		Cpu: cgroup.CPU(dir), Memory: cgroup.Memory(dir), Io: cgroup.IO(dir), WritableLayer: layer,
		Pids: pids, PidsLimit: limit,
	}
	if details {
		processes, _ := cgroup.Processes(dir)
		stats.Processes = uint64(len(processes))
		stats.FileDescriptors, stats.Sockets = cgroup.Descriptors(processes)
		stats.OpenFilesLimit = openFilesLimit(c.init.pid())
	}
	return stats
}

// openFilesLimit is a process's soft limit of open files; 0 if it has none or has ended.
func openFilesLimit(pid int) uint64 {
	var limit unix.Rlimit
	if pid == 0 || unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &limit) != nil || limit.Cur == unix.RLIM_INFINITY {
		return 0
	}
	return limit.Cur
}

func (a *Agent) podStats() *api.PodStats {
	dir := boot.PodCgroup
	pids, _ := cgroup.Pids(dir)
	stats := &api.PodStats{
		UnixNanos: time.Now().UnixNano(),
		Cpu:       cgroup.CPU(dir), Memory: cgroup.Memory(dir), Io: cgroup.IO(dir), Processes: pids,
		Scratch:          fileSystem(scratchDir),
		Interfaces:       readInterfaces(a.podNamespaces().interfaces()),
		ScratchUsedBytes: map[string]uint64{},
	}
	for _, name := range volumeNames() {
		stats.ScratchUsedBytes[name] = a.sandbox.usage.get("volume:"+name, volumesDir+"/"+name).bytes
	}
	return stats
}

func fileSystem(path string) *api.FilesystemStats {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return &api.FilesystemStats{}
	}
	size := uint64(st.Bsize)
	return &api.FilesystemStats{
		UsedBytes: (st.Blocks - st.Bfree) * size, UsedInodes: st.Files - st.Ffree,
		CapacityBytes: st.Blocks * size, AvailableBytes: st.Bavail * size,
		Inodes: st.Files, FreeInodes: st.Ffree,
	}
}

// readInterfaces parses /proc/net/dev, without lo.
func readInterfaces(file string) []*api.InterfaceStats {
	f, err := os.Open(file)
	if err != nil {
		return nil
	}
	defer f.Close()
	var out []*api.InterfaceStats
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, rest, ok := strings.Cut(lines.Text(), ":")
		fields := strings.Fields(rest)
		if name = strings.TrimSpace(name); !ok || name == "lo" || len(fields) < 12 {
			continue
		}
		n := make([]uint64, len(fields))
		for i, field := range fields {
			n[i], _ = strconv.ParseUint(field, 10, 64)
		}
		out = append(out, &api.InterfaceStats{
			Name: name, RxBytes: n[0], RxPackets: n[1], RxErrors: n[2], RxDropped: n[3],
			TxBytes: n[8], TxPackets: n[9], TxErrors: n[10], TxDropped: n[11],
		})
	}
	return out
}
