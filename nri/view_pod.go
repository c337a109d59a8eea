package nri

import (
	"maps"

	"github.com/containerd/nri/pkg/api"

	"github.com/paddock-run/paddock/podsandbox"
)

// view is the pod in NRI's words. Its process id stays 0: none of its processes is the node's. Its network
// namespace is the one on the node that its VM's interface is in.
func (p *podEntry) view() *api.PodSandbox {
	cfg := &p.status.Config
	out := &api.PodSandbox{
		Id: p.status.ID, Name: cfg.Meta.Name, Uid: cfg.Meta.UID, Namespace: cfg.Meta.Namespace,
		Labels: maps.Clone(cfg.Labels), Annotations: maps.Clone(cfg.Annotations), RuntimeHandler: cfg.RuntimeHandler,
		Linux: &api.LinuxPodSandbox{
			PodOverhead: toNRI(&cfg.Overhead), PodResources: toNRI(&cfg.Resources), CgroupParent: cfg.CgroupParent,
		},
	}
	if net := p.status.Network; net != nil {
		if net.NetNS != "" {
			out.Linux.Namespaces = []*api.LinuxNamespace{{Type: "network", Path: net.NetNS}}
		}
		for _, ip := range net.IPs() {
			out.Ips = append(out.Ips, ip.String())
		}
	}
	return out
}

// toNRI are limits in NRI's words; what is not set stays unset.
func toNRI(r *podsandbox.Resources) *api.LinuxResources {
	out := &api.LinuxResources{
		Memory:  &api.LinuxMemory{Limit: set(r.MemoryLimit), Reservation: set(r.MemoryReservation), Swap: set(r.MemorySwapLimit)},
		Cpu:     &api.LinuxCPU{Quota: set(r.CPUQuota), Cpus: r.CpusetCpus, Mems: r.CpusetMems},
		Unified: maps.Clone(r.Unified),
	}
	if r.CPUShares > 0 {
		out.Cpu.Shares = api.UInt64(uint64(r.CPUShares))
	}
	if r.CPUPeriod > 0 {
		out.Cpu.Period = api.UInt64(uint64(r.CPUPeriod))
	}
	if r.PidsLimit != 0 {
		out.Pids = &api.LinuxPids{Limit: r.PidsLimit}
	}
	for _, h := range r.HugepageLimits {
		out.HugepageLimits = append(out.HugepageLimits, &api.HugepageLimit{PageSize: h.PageSize, Limit: h.Limit})
	}
	return out
}

func set(v int64) *api.OptionalInt64 {
	if v == 0 {
		return nil
	}
	return api.Int64(v)
}
