package nri

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/containerd/nri/pkg/api"
	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/paddock-run/paddock/podsandbox"
)

// made is a container that is going to be made.
func made() *podsandbox.ContainerStatus {
	return &podsandbox.ContainerStatus{
		ID: "c", SandboxID: "s",
		Config: podsandbox.ContainerConfig{
			Mounts:    []podsandbox.Mount{{ContainerPath: "/data", HostPath: "/srv/data"}},
			Resources: podsandbox.Resources{MemoryLimit: 100, Unified: map[string]string{"memory.high": "90"}},
		},
		Spec: &specs.Spec{
			Process:     &specs.Process{Args: []string{"/bin/sh"}, Env: []string{"A=1", "B=2"}},
			Annotations: map[string]string{"old": "1"},
			Mounts:      []specs.Mount{{Destination: "/proc", Type: "proc"}, {Destination: "/dev/mqueue", Type: "mqueue"}},
			Linux: &specs.Linux{
				Devices:   []specs.LinuxDevice{{Path: "/dev/fuse", Type: "c", Major: 10, Minor: 229}},
				Resources: &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}},
			},
		},
	}
}

func TestAdjust(t *testing.T) {
	number := func(v int64) *int64 { return &v }
	errno := uint(38)
	for _, c := range []struct {
		name string
		want *api.ContainerAdjustment
		edit func(c *podsandbox.ContainerStatus)
	}{
		{"nothing", &api.ContainerAdjustment{}, func(*podsandbox.ContainerStatus) {}},
		{"annotations", &api.ContainerAdjustment{Annotations: map[string]string{"-old": "", "new": "2"}},
			func(c *podsandbox.ContainerStatus) { c.Spec.Annotations = map[string]string{"new": "2"} }},
		{"annotation removed and set", &api.ContainerAdjustment{Annotations: map[string]string{"-old": "", "old": "2"}},
			func(c *podsandbox.ContainerStatus) { c.Spec.Annotations = map[string]string{"old": "2"} }},
		{"env", &api.ContainerAdjustment{Env: []*api.KeyValue{{Key: "A", Value: "x=y"}, {Key: "-B"}, {Key: "C", Value: "3"}}},
			func(c *podsandbox.ContainerStatus) { c.Spec.Process.Env = []string{"A=x=y", "C=3"} }},
		{"args", &api.ContainerAdjustment{Args: []string{"/bin/true", "x"}},
			func(c *podsandbox.ContainerStatus) { c.Spec.Process.Args = []string{"/bin/true", "x"} }},
		{"hooks in the container", &api.ContainerAdjustment{Hooks: &api.Hooks{StartContainer: []*api.Hook{{Path: "/bin/hook", Args: []string{"hook"}}}}},
			func(c *podsandbox.ContainerStatus) {
				c.Spec.Hooks = &specs.Hooks{StartContainer: []specs.Hook{{Path: "/bin/hook", Args: []string{"hook"}, Env: []string{}}}}
			}},
		{"rlimits", &api.ContainerAdjustment{Rlimits: []*api.POSIXRlimit{{Type: "nofile", Hard: 5, Soft: 4}, {Type: "RLIMIT_CORE"}}},
			func(c *podsandbox.ContainerStatus) {
				c.Spec.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Hard: 5, Soft: 4}, {Type: "RLIMIT_CORE"}}
			}},
		{"bind mount", &api.ContainerAdjustment{Mounts: []*api.Mount{{Destination: "/new", Type: "bind", Source: "/srv/new", Options: []string{"rbind", "rro", "rslave", "noexec"}}}},
			func(c *podsandbox.ContainerStatus) {
				c.Config.Mounts = append(c.Config.Mounts, podsandbox.Mount{ContainerPath: "/new", HostPath: "/srv/new", ReadOnly: true,
					RecursiveReadOnly: true, Propagation: podsandbox.PropagationHostToContainer, Options: []string{"noexec"}})
			}},
		{"mount replaced", &api.ContainerAdjustment{Mounts: []*api.Mount{{Destination: "/data/", Source: "/srv/other", Options: []string{"bind", "ro"}}}},
			func(c *podsandbox.ContainerStatus) {
				c.Config.Mounts = []podsandbox.Mount{{ContainerPath: "/data", HostPath: "/srv/other", ReadOnly: true}}
			}},
		{"mounts removed", &api.ContainerAdjustment{Mounts: []*api.Mount{{Destination: "-/data"}, {Destination: "-/dev/mqueue"}, {Destination: "-/none"}}},
			func(c *podsandbox.ContainerStatus) { c.Config.Mounts, c.Spec.Mounts = nil, c.Spec.Mounts[:1] }},
		{"tmpfs", &api.ContainerAdjustment{Mounts: []*api.Mount{{Destination: "/dev/shm", Type: "tmpfs", Source: "tmpfs", Options: []string{"size=1m"}}}},
			func(c *podsandbox.ContainerStatus) {
				c.Config.Mounts = append(c.Config.Mounts, podsandbox.Mount{ContainerPath: "/dev/shm", Tmpfs: true, Options: []string{"size=1m"}})
			}},
		{"kernel's file system", &api.ContainerAdjustment{Mounts: []*api.Mount{{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid"}}}},
			func(c *podsandbox.ContainerStatus) {
				c.Spec.Mounts = []specs.Mount{c.Spec.Mounts[1], {Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid"}}}
			}},
		{"limits", linuxAdjustment(&api.LinuxContainerAdjustment{OomScoreAdj: api.Int(-5), Resources: &api.LinuxResources{
			Memory:         &api.LinuxMemory{Limit: api.Int64(int64(200)), Reservation: api.Int64(int64(50)), Swap: api.Int64(int64(300))},
			Cpu:            &api.LinuxCPU{Shares: api.UInt64(uint64(2)), Quota: api.Int64(int64(3)), Period: api.UInt64(uint64(4)), Cpus: "0", Mems: "0"},
			HugepageLimits: []*api.HugepageLimit{{PageSize: "2MB", Limit: 1}}, Unified: map[string]string{"io.max": "x"}, Pids: &api.LinuxPids{Limit: 9},
		}}), func(c *podsandbox.ContainerStatus) {
			c.Config.Resources = podsandbox.Resources{MemoryLimit: 200, MemoryReservation: 50, MemorySwapLimit: 300, CPUShares: 2, CPUQuota: 3, CPUPeriod: 4,
				CpusetCpus: "0", CpusetMems: "0", HugepageLimits: []podsandbox.HugepageLimit{{PageSize: "2MB", Limit: 1}}, PidsLimit: 9, OOMScoreAdj: -5,
				Unified: map[string]string{"memory.high": "90", "io.max": "x"}}
		}},
		{"classes cleared, rdt removed", linuxAdjustment(&api.LinuxContainerAdjustment{Rdt: &api.LinuxRdt{Remove: true},
			Resources: &api.LinuxResources{RdtClass: api.String(""), BlockioClass: api.String("")}}), func(*podsandbox.ContainerStatus) {}},
		{"device rule", linuxAdjustment(&api.LinuxContainerAdjustment{Resources: &api.LinuxResources{Devices: []*api.LinuxDeviceCgroup{
			{Allow: true, Type: "c", Major: api.Int64(int64(10)), Minor: api.Int64(int64(200)), Access: "rw"}}}}), func(c *podsandbox.ContainerStatus) {
			c.Spec.Linux.Resources.Devices = append(c.Spec.Linux.Resources.Devices,
				specs.LinuxDeviceCgroup{Allow: true, Type: "c", Major: number(10), Minor: number(200), Access: "rw"})
		}},
		{"devices", linuxAdjustment(&api.LinuxContainerAdjustment{Devices: []*api.LinuxDevice{{Path: "-/dev/fuse"}, {Path: "/dev/tun", Type: "c", Major: 10, Minor: 200}}}),
			func(c *podsandbox.ContainerStatus) {
				c.Spec.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/tun", Type: "c", Major: 10, Minor: 200}}
				c.Spec.Linux.Resources.Devices = append(c.Spec.Linux.Resources.Devices,
					specs.LinuxDeviceCgroup{Allow: true, Type: "c", Major: number(10), Minor: number(200), Access: "rw"})
			}},
		{"seccomp", linuxAdjustment(&api.LinuxContainerAdjustment{SeccompPolicy: &api.LinuxSeccomp{DefaultAction: "SCMP_ACT_ERRNO",
			DefaultErrno: api.UInt32(uint32(38)), Architectures: []string{"SCMP_ARCH_X86_64"}, Flags: []string{"SECCOMP_FILTER_FLAG_LOG"},
			Syscalls: []*api.LinuxSyscall{{Names: []string{"read"}, Action: "SCMP_ACT_ALLOW"}}}}), func(c *podsandbox.ContainerStatus) {
			c.Spec.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, DefaultErrnoRet: &errno, Architectures: []specs.Arch{specs.ArchX86_64},
				Flags: []specs.LinuxSeccompFlag{specs.LinuxSeccompFlagLog}, Syscalls: []specs.LinuxSyscall{{Names: []string{"read"}, Action: specs.ActAllow}}}
		}},
		{"sysctls", linuxAdjustment(&api.LinuxContainerAdjustment{Sysctl: map[string]string{"vm.max_map_count": "300000", "-net.x": ""}}),
			func(c *podsandbox.ContainerStatus) {
				c.Spec.Linux.Sysctl = map[string]string{"vm.max_map_count": "300000"}
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, before, want := made(), made(), made()
			c.edit(want)
			shared := *got // as another holds it
			if err := adjust(got, c.want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, equateEmpty); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(before, &shared, equateEmpty); diff != "" {
				t.Errorf("what the status pointed to was changed: %s", diff)
			}
		})
	}
}

func linuxAdjustment(l *api.LinuxContainerAdjustment) *api.ContainerAdjustment {
	return &api.ContainerAdjustment{Linux: l}
}

// equateEmpty takes no entries for the same, whether they are nil or not.
var equateEmpty = cmp.FilterPath(func(p cmp.Path) bool {
	k := p.Last().Type().Kind().String()
	return k == "slice" || k == "map"
}, cmp.FilterValues(func(a, b any) bool { return length(a) == 0 && length(b) == 0 }, cmp.Comparer(func(a, b any) bool { return true })))

func length(v any) int { return reflect.ValueOf(v).Len() }

func TestAdjustmentsRefused(t *testing.T) {
	hook := []*api.Hook{{Path: "/bin/x"}}
	resources := func(r *api.LinuxResources) *api.ContainerAdjustment {
		return linuxAdjustment(&api.LinuxContainerAdjustment{Resources: r})
	}
	mount := func(m *api.Mount) *api.ContainerAdjustment { return &api.ContainerAdjustment{Mounts: []*api.Mount{m}} }
	one := api.Int64(int64(1))
	for field, c := range map[string]struct {
		want *api.ContainerAdjustment
		err  error
	}{
		"hooks.prestart":                            {&api.ContainerAdjustment{Hooks: &api.Hooks{Prestart: hook}}, podsandbox.ErrUnsupported},
		"hooks.create_runtime":                      {&api.ContainerAdjustment{Hooks: &api.Hooks{CreateRuntime: hook}}, podsandbox.ErrUnsupported},
		"hooks.create_container":                    {&api.ContainerAdjustment{Hooks: &api.Hooks{CreateContainer: hook}}, podsandbox.ErrUnsupported},
		"hooks.poststart":                           {&api.ContainerAdjustment{Hooks: &api.Hooks{Poststart: hook}}, podsandbox.ErrUnsupported},
		"hooks.poststop":                            {&api.ContainerAdjustment{Hooks: &api.Hooks{Poststop: hook}}, podsandbox.ErrUnsupported},
		"hooks.start_container":                     {&api.ContainerAdjustment{Hooks: &api.Hooks{StartContainer: []*api.Hook{{Path: "x"}}}}, podsandbox.ErrInvalid},
		"CDI_devices":                               {&api.ContainerAdjustment{CDIDevices: []*api.CDIDevice{{Name: "vendor.com/gpu=0"}}}, podsandbox.ErrUnsupported},
		"env":                                       {&api.ContainerAdjustment{Env: []*api.KeyValue{{Key: "A=B"}}}, podsandbox.ErrInvalid},
		"args":                                      {&api.ContainerAdjustment{Args: []string{""}}, podsandbox.ErrInvalid},
		"rlimits":                                   {&api.ContainerAdjustment{Rlimits: []*api.POSIXRlimit{{Type: "RLIMIT_NOFILE", Hard: 1, Soft: 2}}}, podsandbox.ErrInvalid},
		"mounts: /x: source":                        {mount(&api.Mount{Destination: "/x", Type: "bind", Source: "relative"}), podsandbox.ErrInvalid},
		"mounts: destination":                       {mount(&api.Mount{Destination: "/", Type: "bind", Source: "/x"}), podsandbox.ErrInvalid},
		"mounts: /x: \"fun\"":                       {mount(&api.Mount{Destination: "/x", Type: "bind", Source: "/x", Options: []string{"fun"}}), podsandbox.ErrInvalid},
		"mounts: /x: id-mapped":                     {mount(&api.Mount{Destination: "/x", Type: "bind", Source: "/x", Options: []string{"ridmap=uids=0-1-1"}}), podsandbox.ErrUnsupported},
		"mounts: /x: a file system of type nfs":     {mount(&api.Mount{Destination: "/x", Type: "nfs", Source: "host:/x"}), podsandbox.ErrUnsupported},
		"mounts: -/etc/hosts":                       {mount(&api.Mount{Destination: "-/etc/hosts"}), podsandbox.ErrUnsupported},
		"linux.cgroups_path":                        {linuxAdjustment(&api.LinuxContainerAdjustment{CgroupsPath: "/x"}), podsandbox.ErrUnsupported},
		"linux.namespaces":                          {linuxAdjustment(&api.LinuxContainerAdjustment{Namespaces: []*api.LinuxNamespace{{Type: "network"}}}), podsandbox.ErrUnsupported},
		"linux.net_devices":                         {linuxAdjustment(&api.LinuxContainerAdjustment{NetDevices: map[string]*api.LinuxNetDevice{"eth1": {}}}), podsandbox.ErrUnsupported},
		"linux.io_priority":                         {linuxAdjustment(&api.LinuxContainerAdjustment{IoPriority: &api.LinuxIOPriority{}}), podsandbox.ErrUnsupported},
		"linux.scheduler":                           {linuxAdjustment(&api.LinuxContainerAdjustment{Scheduler: &api.LinuxScheduler{}}), podsandbox.ErrUnsupported},
		"linux.memory_policy":                       {linuxAdjustment(&api.LinuxContainerAdjustment{MemoryPolicy: &api.LinuxMemoryPolicy{}}), podsandbox.ErrUnsupported},
		"linux.rdt.clos_id":                         {linuxAdjustment(&api.LinuxContainerAdjustment{Rdt: &api.LinuxRdt{ClosId: api.String("x")}}), podsandbox.ErrUnsupported},
		"linux.rdt.schemata":                        {linuxAdjustment(&api.LinuxContainerAdjustment{Rdt: &api.LinuxRdt{Schemata: &api.OptionalRepeatedString{}}}), podsandbox.ErrUnsupported},
		"linux.rdt.enable_monitoring":               {linuxAdjustment(&api.LinuxContainerAdjustment{Rdt: &api.LinuxRdt{EnableMonitoring: api.Bool(true)}}), podsandbox.ErrUnsupported},
		"linux.seccomp_policy.listener_path":        {linuxAdjustment(&api.LinuxContainerAdjustment{SeccompPolicy: &api.LinuxSeccomp{ListenerPath: "/x"}}), podsandbox.ErrUnsupported},
		"linux.seccomp_policy: it has no":           {linuxAdjustment(&api.LinuxContainerAdjustment{SeccompPolicy: &api.LinuxSeccomp{}}), podsandbox.ErrInvalid},
		"linux.oom_score_adj":                       {linuxAdjustment(&api.LinuxContainerAdjustment{OomScoreAdj: api.Int(1001)}), podsandbox.ErrInvalid},
		"linux.devices: /dev/gpu":                   {linuxAdjustment(&api.LinuxContainerAdjustment{Devices: []*api.LinuxDevice{{Path: "/dev/gpu", Type: "c", Major: 195}}}), podsandbox.ErrUnsupported},
		"linux.resources.devices":                   {resources(&api.LinuxResources{Devices: []*api.LinuxDeviceCgroup{{Allow: true, Type: "b"}}}), podsandbox.ErrUnsupported},
		"linux.resources.memory.kernel:":            {resources(&api.LinuxResources{Memory: &api.LinuxMemory{Kernel: one}}), podsandbox.ErrUnsupported},
		"linux.resources.memory.kernel_tcp":         {resources(&api.LinuxResources{Memory: &api.LinuxMemory{KernelTcp: one}}), podsandbox.ErrUnsupported},
		"linux.resources.memory.swappiness":         {resources(&api.LinuxResources{Memory: &api.LinuxMemory{Swappiness: api.UInt64(uint64(1))}}), podsandbox.ErrUnsupported},
		"linux.resources.memory.disable_oom_killer": {resources(&api.LinuxResources{Memory: &api.LinuxMemory{DisableOomKiller: api.Bool(true)}}), podsandbox.ErrUnsupported},
		"linux.resources.memory.use_hierarchy":      {resources(&api.LinuxResources{Memory: &api.LinuxMemory{UseHierarchy: api.Bool(false)}}), podsandbox.ErrUnsupported},
		"linux.resources.cpu.realtime_runtime":      {resources(&api.LinuxResources{Cpu: &api.LinuxCPU{RealtimeRuntime: one}}), podsandbox.ErrUnsupported},
		"linux.resources.cpu.realtime_period":       {resources(&api.LinuxResources{Cpu: &api.LinuxCPU{RealtimePeriod: api.UInt64(uint64(1))}}), podsandbox.ErrUnsupported},
		"linux.resources.cpu.shares":                {resources(&api.LinuxResources{Cpu: &api.LinuxCPU{Shares: api.UInt64(uint64(1 << 63))}}), podsandbox.ErrInvalid},
		"linux.resources.blockio_class":             {resources(&api.LinuxResources{BlockioClass: api.String("x")}), podsandbox.ErrUnsupported},
		"linux.resources.rdt_class":                 {resources(&api.LinuxResources{RdtClass: api.String("x")}), podsandbox.ErrUnsupported},
	} {
		t.Run(field, func(t *testing.T) {
			got := made()
			err := adjust(got, c.want)
			if !errors.Is(err, c.err) || !strings.Contains(err.Error(), field) {
				t.Errorf("error %v, want %v that names %s", err, c.err, field)
			}
			if diff := cmp.Diff(made(), got, equateEmpty); diff != "" {
				t.Errorf("the container was changed all the same: %s", diff)
			}
		})
	}
}
