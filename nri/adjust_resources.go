package nri

import (
	"maps"
	"math"
	"slices"

	"github.com/containerd/nri/pkg/api"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/paddock-run/paddock/podsandbox"
	"github.com/paddock-run/paddock/podsandbox/ocispec"
)

// adjustResources changes limits, the OOM score and the rules for devices.
func adjustResources(c *podsandbox.ContainerStatus, want *api.ContainerAdjustment) error {
	const field = "linux.resources"
	r := want.GetLinux().GetResources()
	if err := limits(field, r, &c.Config.Resources); err != nil {
		return err
	}
	if score := want.GetLinux().GetOomScoreAdj(); score != nil {
		if v := score.GetValue(); v < -1000 || v > 1000 {
			return invalid("linux.oom_score_adj", "%d is not within -1000 to 1000", v)
		}
		c.Config.Resources.OOMScoreAdj = score.GetValue()
	}
	for _, d := range r.GetDevices() {
		if d.GetAllow() && !ocispec.IsGuestDevice(d.GetType(), d.GetMajor().GetValue(), d.GetMinor().GetValue()) {
			return unsupported(field+".devices", whyNodeDevice)
		}
		addRule(c.Spec, specs.LinuxDeviceCgroup{
			Allow: d.GetAllow(), Type: d.GetType(), Major: d.GetMajor().Get(), Minor: d.GetMinor().Get(), Access: d.GetAccess(),
		})
	}
	return nil
}

// limits changes what is set in want. An update cannot say more than limits.
func limits(field string, want *api.LinuxResources, r *podsandbox.Resources) error {
	if err := refuseLimits(field, want); err != nil {
		return err
	}
	mem, cpu := want.GetMemory(), want.GetCpu()
	for _, v := range []struct {
		to   *int64
		from *api.OptionalInt64
	}{
		{&r.MemoryLimit, mem.GetLimit()}, {&r.MemoryReservation, mem.GetReservation()}, {&r.MemorySwapLimit, mem.GetSwap()},
		{&r.CPUQuota, cpu.GetQuota()},
	} {
		if v.from.GetValue() != 0 {
			*v.to = v.from.GetValue()
		}
	}
	for name, v := range map[string]struct {
		to   *int64
		from *api.OptionalUInt64
	}{
		".cpu.shares": {&r.CPUShares, cpu.GetShares()}, ".cpu.period": {&r.CPUPeriod, cpu.GetPeriod()},
	} {
		if v.from.GetValue() > math.MaxInt64 {
			return invalid(field+name, "%d is too large", v.from.GetValue())
		}
		if v.from.GetValue() != 0 {
			*v.to = int64(v.from.GetValue())
		}
	}
	if cpu.GetCpus() != "" {
		r.CpusetCpus = cpu.GetCpus()
	}
	if cpu.GetMems() != "" {
		r.CpusetMems = cpu.GetMems()
	}
	if n := want.GetPids().GetLimit(); n != 0 {
		r.PidsLimit = n
	}
	r.HugepageLimits = slices.Clone(r.HugepageLimits)
	for _, h := range want.GetHugepageLimits() {
		r.HugepageLimits = slices.DeleteFunc(r.HugepageLimits, func(old podsandbox.HugepageLimit) bool { return old.PageSize == h.GetPageSize() })
		r.HugepageLimits = append(r.HugepageLimits, podsandbox.HugepageLimit{PageSize: h.GetPageSize(), Limit: h.GetLimit()})
	}
	if unified := want.GetUnified(); len(unified) > 0 {
		next := maps.Clone(r.Unified)
		if next == nil {
			next = map[string]string{}
		}
		maps.Copy(next, unified)
		r.Unified = next
	}
	return nil
}

// refuseLimits looks for limits that a pod in a VM cannot have. Classes that are cleared are none.
func refuseLimits(field string, want *api.LinuxResources) error {
	mem, cpu := want.GetMemory(), want.GetCpu()
	for _, f := range []struct {
		field string
		asked bool
		why   string
	}{
		{".memory.kernel", mem.GetKernel() != nil, whyCgroupV1},
		{".memory.kernel_tcp", mem.GetKernelTcp() != nil, whyCgroupV1},
		{".memory.swappiness", mem.GetSwappiness() != nil, whyCgroupV1},
		{".memory.disable_oom_killer", mem.GetDisableOomKiller().GetValue(), whyCgroupV1},
		{".memory.use_hierarchy", mem.GetUseHierarchy() != nil && !mem.GetUseHierarchy().GetValue(), whyCgroupV1},
		{".cpu.realtime_runtime", cpu.GetRealtimeRuntime() != nil, whyCgroupV1},
		{".cpu.realtime_period", cpu.GetRealtimePeriod() != nil, whyCgroupV1},
		{".blockio_class", want.GetBlockioClass().GetValue() != "", whyBlockIO},
		{".rdt_class", want.GetRdtClass().GetValue() != "", whyRDT},
	} {
		if f.asked {
			return unsupported(field+f.field, f.why)
		}
	}
	return nil
}

// adjustDevices adds, replaces and removes nodes of devices that every guest has.
func adjustDevices(c *podsandbox.ContainerStatus, want *api.ContainerAdjustment) error {
	for _, d := range want.GetLinux().GetDevices() {
		name, remove := d.IsMarkedForRemoval()
		c.Spec.Linux.Devices = slices.DeleteFunc(c.Spec.Linux.Devices, func(old specs.LinuxDevice) bool { return old.Path == name })
		if remove {
			continue
		}
		if !ocispec.IsGuestDevice(d.GetType(), d.GetMajor(), d.GetMinor()) {
			return unsupported("linux.devices", name+": "+whyNodeDevice)
		}
		c.Spec.Linux.Devices = append(c.Spec.Linux.Devices, d.ToOCI())
		major, minor := d.GetMajor(), d.GetMinor()
		addRule(c.Spec, specs.LinuxDeviceCgroup{Allow: true, Type: d.GetType(), Major: &major, Minor: &minor, Access: d.AccessString()})
	}
	return nil
}

func addRule(spec *specs.Spec, rule specs.LinuxDeviceCgroup) {
	if spec.Linux.Resources == nil {
		spec.Linux.Resources = &specs.LinuxResources{}
	}
	spec.Linux.Resources.Devices = append(spec.Linux.Resources.Devices, rule)
}
