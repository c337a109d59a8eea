package cri

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	rt "k8s.io/cri-api/pkg/apis/runtime/v1"
)

type malformed struct {
	name string
	code codes.Code
	text string // the error has to say this
	call func(context.Context, *harness) error
}

const bad, unimplemented = codes.InvalidArgument, codes.Unimplemented

// runWith is RunPodSandbox of a good config with one thing changed.
func runWith(name string, code codes.Code, text string, change func(*rt.PodSandboxConfig)) malformed {
	return malformed{"RunPodSandbox " + name, code, text, func(ctx context.Context, h *harness) error {
		cfg := goodSandbox()
		change(cfg)
		_, err := h.pods.RunPodSandbox(ctx, &rt.RunPodSandboxRequest{Config: cfg})
		return err
	}}
}

func handlerWith(name string, code codes.Code, text, handler string) malformed {
	return malformed{"RunPodSandbox " + name, code, text, func(ctx context.Context, h *harness) error {
		_, err := h.pods.RunPodSandbox(ctx, &rt.RunPodSandboxRequest{Config: goodSandbox(), RuntimeHandler: handler})
		return err
	}}
}

// createWith is CreateContainer of a good config with one thing changed.
func createWith(name string, code codes.Code, text string, change func(*rt.ContainerConfig)) malformed {
	return malformed{"CreateContainer " + name, code, text, func(ctx context.Context, h *harness) error {
		cfg := goodContainer()
		change(cfg)
		_, err := h.pods.CreateContainer(ctx, &rt.CreateContainerRequest{PodSandboxId: sandboxOf(h), Config: cfg, SandboxConfig: goodSandbox()})
		return err
	}}
}

func call(name string, code codes.Code, text string, f func(context.Context, *harness) error) malformed {
	return malformed{name, code, text, f}
}

func sandboxOf(h *harness) string { return h.rt.Sandboxes()[0].ID }

func containerOf(h *harness) string { return h.rt.Containers()[0].ID }

func sandboxSecurity(c *rt.PodSandboxConfig) *rt.LinuxSandboxSecurityContext {
	return c.Linux.SecurityContext
}

func containerSecurity(c *rt.ContainerConfig) *rt.LinuxContainerSecurityContext {
	return c.Linux.SecurityContext
}

func malformedSandboxes() []malformed {
	ns := func(f func(*rt.NamespaceOption)) func(*rt.PodSandboxConfig) {
		return func(c *rt.PodSandboxConfig) { f(sandboxSecurity(c).NamespaceOptions) }
	}
	return []malformed{
		call("RunPodSandbox nil config", bad, "config", func(ctx context.Context, h *harness) error {
			_, err := h.pods.RunPodSandbox(ctx, &rt.RunPodSandboxRequest{})
			return err
		}),
		handlerWith("unknown handler", bad, "lcow", "runc"),
		handlerWith("Windows handler", unimplemented, "make guest", "wcow"),
		runWith("nil metadata", bad, "metadata", func(c *rt.PodSandboxConfig) { c.Metadata = nil }),
		runWith("no name", bad, "name", func(c *rt.PodSandboxConfig) { c.Metadata.Name = "" }),
		runWith("no uid", bad, "uid", func(c *rt.PodSandboxConfig) { c.Metadata.Uid = "" }),
		runWith("no namespace", bad, "namespace", func(c *rt.PodSandboxConfig) { c.Metadata.Namespace = "" }),
		runWith("long name", bad, "longer", func(c *rt.PodSandboxConfig) { c.Metadata.Name = strings.Repeat("a", 254) }),
		runWith("name with slash", bad, "name", func(c *rt.PodSandboxConfig) { c.Metadata.Name = "a/../b" }),
		runWith("uid of dots", bad, "uid", func(c *rt.PodSandboxConfig) { c.Metadata.Uid = ".." }),
		runWith("namespace with NUL", bad, "namespace", func(c *rt.PodSandboxConfig) { c.Metadata.Namespace = "a\x00" }),
		runWith("hostname with space", bad, "hostname", func(c *rt.PodSandboxConfig) { c.Hostname = "a b" }),
		runWith("hostname with newline", bad, "hostname", func(c *rt.PodSandboxConfig) { c.Hostname = "a\nb" }),
		runWith("long hostname", bad, "hostname", func(c *rt.PodSandboxConfig) { c.Hostname = strings.Repeat("h", 65) }),
		runWith("relative log directory", bad, "log_directory", func(c *rt.PodSandboxConfig) { c.LogDirectory = "logs" }),
		runWith("climbing log directory", bad, "log_directory", func(c *rt.PodSandboxConfig) { c.LogDirectory = "/var/log/../../etc" }),
		runWith("DNS server name", bad, "servers", func(c *rt.PodSandboxConfig) { c.DnsConfig.Servers = []string{"dns.example"} }),
		runWith("DNS search with newline", bad, "searches", func(c *rt.PodSandboxConfig) { c.DnsConfig.Searches = []string{"a\nnameserver 6.6.6.6"} }),
		runWith("DNS option with space", bad, "options", func(c *rt.PodSandboxConfig) { c.DnsConfig.Options = []string{"a b"} }),
		runWith("container port 0", bad, "container_port", func(c *rt.PodSandboxConfig) { c.PortMappings[0].ContainerPort = 0 }),
		runWith("container port too high", bad, "container_port", func(c *rt.PodSandboxConfig) { c.PortMappings[0].ContainerPort = 65536 }),
		runWith("host port negative", bad, "host_port", func(c *rt.PodSandboxConfig) { c.PortMappings[0].HostPort = -1 }),
		runWith("host port too high", bad, "host_port", func(c *rt.PodSandboxConfig) { c.PortMappings[0].HostPort = 70000 }),
		runWith("host ip", bad, "host_ip", func(c *rt.PodSandboxConfig) { c.PortMappings[0].HostIp = "localhost" }),
		runWith("unknown protocol", bad, "protocol", func(c *rt.PodSandboxConfig) { c.PortMappings[0].Protocol = 9 }),
		runWith("empty label key", bad, "labels", func(c *rt.PodSandboxConfig) { c.Labels[""] = "x" }),
		runWith("huge label", bad, "labels", func(c *rt.PodSandboxConfig) { c.Labels["a"] = strings.Repeat("x", 5000) }),
		runWith("huge annotations", bad, "annotations", func(c *rt.PodSandboxConfig) { c.Annotations["a"] = strings.Repeat("x", 2<<20) }),
		runWith("relative cgroup parent", bad, "cgroup_parent", func(c *rt.PodSandboxConfig) { c.Linux.CgroupParent = "kubepods" }),
		runWith("climbing cgroup parent", bad, "cgroup_parent", func(c *rt.PodSandboxConfig) { c.Linux.CgroupParent = "/a/../../b" }),
		runWith("sysctl name", bad, "sysctl", func(c *rt.PodSandboxConfig) { c.Linux.Sysctls["../../etc/passwd"] = "1" }),
		runWith("sysctl without dot", bad, "sysctl", func(c *rt.PodSandboxConfig) { c.Linux.Sysctls["kernel"] = "1" }),
		runWith("sysctl value", bad, "sysctl", func(c *rt.PodSandboxConfig) { c.Linux.Sysctls["a.b"] = "1\n2" }),
		runWith("negative overhead", bad, "overhead", func(c *rt.PodSandboxConfig) {
			c.Linux.Overhead = &rt.LinuxContainerResources{MemoryLimitInBytes: -5}
		}),
		runWith("negative shares", bad, "cpu_shares", func(c *rt.PodSandboxConfig) {
			c.Linux.Resources = &rt.LinuxContainerResources{CpuShares: -5}
		}),
		runWith("host network", unimplemented, "hostNetwork.mode", ns(func(o *rt.NamespaceOption) { o.Network = rt.NamespaceMode_NODE })),
		runWith("container network", bad, "network", ns(func(o *rt.NamespaceOption) { o.Network = rt.NamespaceMode_CONTAINER })),
		runWith("unknown pid mode", bad, "pid", ns(func(o *rt.NamespaceOption) { o.Pid = 77 })),
		runWith("pid of a target", bad, "TARGET", ns(func(o *rt.NamespaceOption) { o.Pid, o.TargetId = rt.NamespaceMode_TARGET, "abc" })),
		runWith("group without user", bad, "run_as_group", func(c *rt.PodSandboxConfig) { sandboxSecurity(c).RunAsGroup = &rt.Int64Value{Value: 5} }),
		runWith("relative seccomp profile", bad, "seccomp", func(c *rt.PodSandboxConfig) {
			sandboxSecurity(c).Seccomp = &rt.SecurityProfile{ProfileType: rt.SecurityProfile_Localhost, LocalhostRef: "p.json"}
		}),
		runWith("host process", unimplemented, "HostProcess", func(c *rt.PodSandboxConfig) {
			c.Windows = &rt.WindowsPodSandboxConfig{SecurityContext: &rt.WindowsSandboxSecurityContext{HostProcess: true}}
		}),
	}
}

func malformedContainers() []malformed {
	sec := func(f func(*rt.LinuxContainerSecurityContext)) func(*rt.ContainerConfig) {
		return func(c *rt.ContainerConfig) { f(containerSecurity(c)) }
	}
	mnt := func(f func(*rt.Mount)) func(*rt.ContainerConfig) {
		return func(c *rt.ContainerConfig) { f(c.Mounts[0]) }
	}
	res := func(f func(*rt.LinuxContainerResources)) func(*rt.ContainerConfig) {
		return func(c *rt.ContainerConfig) { f(c.Linux.Resources) }
	}
	volume := func(f func(*rt.Mount)) func(*rt.ContainerConfig) {
		return mnt(func(m *rt.Mount) {
			m.Image, m.HostPath = &rt.ImageSpec{Image: "x"}, ""
			f(m)
		})
	}
	dev := func(d *rt.Device) func(*rt.ContainerConfig) {
		return func(c *rt.ContainerConfig) { c.Devices = []*rt.Device{d} }
	}
	return []malformed{
		call("CreateContainer nil config", bad, "config", func(ctx context.Context, h *harness) error {
			_, err := h.pods.CreateContainer(ctx, &rt.CreateContainerRequest{PodSandboxId: sandboxOf(h)})
			return err
		}),
		call("CreateContainer no sandbox", bad, "pod_sandbox_id", func(ctx context.Context, h *harness) error {
			_, err := h.pods.CreateContainer(ctx, &rt.CreateContainerRequest{Config: goodContainer()})
			return err
		}),
		call("CreateContainer unknown sandbox", codes.NotFound, "", func(ctx context.Context, h *harness) error {
			_, err := h.pods.CreateContainer(ctx, &rt.CreateContainerRequest{PodSandboxId: "ffff", Config: goodContainer()})
			return err
		}),
		createWith("nil metadata", bad, "metadata", func(c *rt.ContainerConfig) { c.Metadata = nil }),
		createWith("no name", bad, "name", func(c *rt.ContainerConfig) { c.Metadata.Name = "" }),
		createWith("nil image", bad, "image", func(c *rt.ContainerConfig) { c.Image = nil }),
		createWith("image with space", bad, "image", func(c *rt.ContainerConfig) { c.Image.Image = "a b" }),
		createWith("absolute log path", bad, "log_path", func(c *rt.ContainerConfig) { c.LogPath = "/etc/passwd" }),
		createWith("climbing log path", bad, "log_path", func(c *rt.ContainerConfig) { c.LogPath = "a/../../b" }),
		createWith("log path of a drive", bad, "log_path", func(c *rt.ContainerConfig) { c.LogPath = `C:\x` }),
		createWith("empty env key", bad, "envs[0]", func(c *rt.ContainerConfig) { c.Envs[0].Key = "" }),
		createWith("env key with =", bad, "envs[0]", func(c *rt.ContainerConfig) { c.Envs[0].Key = "A=B" }),
		createWith("env value with NUL", bad, "NUL", func(c *rt.ContainerConfig) { c.Envs[0].Value = []byte("a\x00b") }),
		createWith("argument with NUL", bad, "NUL", func(c *rt.ContainerConfig) { c.Args = []string{"a\x00"} }),
		createWith("relative working dir", bad, "working_dir", func(c *rt.ContainerConfig) { c.WorkingDir = "app" }),
		createWith("huge label", bad, "labels", func(c *rt.ContainerConfig) { c.Labels["a"] = strings.Repeat("x", 5000) }),
		createWith("unknown signal", bad, "stop_signal", func(c *rt.ContainerConfig) { c.StopSignal = 999 }),
		createWith("stdin once without stdin", bad, "stdin_once", func(c *rt.ContainerConfig) { c.StdinOnce = true }),
		createWith("CDI device without a name", bad, "CDI_devices[0]", func(c *rt.ContainerConfig) { c.CDIDevices = []*rt.CDIDevice{{}} }),
		createWith("empty container path", bad, "container_path", mnt(func(m *rt.Mount) { m.ContainerPath = "" })),
		createWith("relative container path", bad, "container_path", mnt(func(m *rt.Mount) { m.ContainerPath = "data" })),
		createWith("root container path", bad, "container_path", mnt(func(m *rt.Mount) { m.ContainerPath = "/a/.." })),
		createWith("empty host path", bad, "host_path", mnt(func(m *rt.Mount) { m.HostPath = "" })),
		createWith("relative host path", bad, "host_path", mnt(func(m *rt.Mount) { m.HostPath = "../x" })),
		createWith("host path with NUL", bad, "host_path", mnt(func(m *rt.Mount) { m.HostPath = "/a\x00b" })),
		createWith("image and host path", bad, "exclude", mnt(func(m *rt.Mount) { m.Image = &rt.ImageSpec{Image: "x"} })),
		createWith("image without a name", bad, "image", volume(func(m *rt.Mount) { m.Image.Image = "" })),
		createWith("writable image", bad, "readonly", volume(func(m *rt.Mount) { m.Readonly, m.RecursiveReadOnly = false, false })),
		createWith("absolute sub path", bad, "image_sub_path", volume(func(m *rt.Mount) { m.ImageSubPath = "/etc" })),
		createWith("climbing sub path", bad, "image_sub_path", volume(func(m *rt.Mount) { m.ImageSubPath = "a/../../etc" })),
		createWith("sub path with NUL", bad, "image_sub_path", volume(func(m *rt.Mount) { m.ImageSubPath = "a\x00" })),
		createWith("sub path without image", bad, "image_sub_path", mnt(func(m *rt.Mount) { m.ImageSubPath = "x" })),
		createWith("unknown propagation", bad, "propagation", mnt(func(m *rt.Mount) { m.RecursiveReadOnly, m.Propagation = false, 7 })),
		createWith("recursive without read-only", bad, "recursive_read_only", mnt(func(m *rt.Mount) { m.Readonly = false })),
		createWith("id-mapped mount without groups", bad, "gid_mappings", mnt(func(m *rt.Mount) { m.UidMappings = mapping(0, 65536, 65536) })),
		createWith("id-mapped mount of two lines", bad, "uid_mappings", mnt(func(m *rt.Mount) {
			m.UidMappings = append(mapping(0, 65536, 65536), mapping(65536, 0, 1)...)
			m.GidMappings = m.UidMappings
		})),
		createWith("other user namespace than the sandbox's", bad, "must be those of the sandbox", sec(func(s *rt.LinuxContainerSecurityContext) {
			s.NamespaceOptions = &rt.NamespaceOption{UsernsOptions: userNamespace(mapping(0, 65536, 65536))}
		})),
		createWith("bidirectional mount without privileges", bad, "privileged", mnt(func(m *rt.Mount) {
			m.RecursiveReadOnly, m.Propagation = false, rt.MountPropagation_PROPAGATION_BIDIRECTIONAL
		})),
		createWith("unknown mount option", bad, "mount_options", mnt(func(m *rt.Mount) { m.MountOptions = []string{"bind,rw"} })),
		createWith("mount option", unimplemented, "mount options", mnt(func(m *rt.Mount) { m.MountOptions = []string{"noexec"} })),
		createWith("device without path", bad, "devices", dev(&rt.Device{HostPath: "/dev/null", Permissions: "r"})),
		createWith("device permissions", bad, "permissions", dev(&rt.Device{ContainerPath: "/dev/x", HostPath: "/dev/null", Permissions: "rx"})),
		createWith("short CPU period", bad, "cpu_period", res(func(r *rt.LinuxContainerResources) { r.CpuPeriod = 10 })),
		createWith("negative CPU quota", bad, "cpu_quota", res(func(r *rt.LinuxContainerResources) { r.CpuQuota = -2 })),
		createWith("negative memory", bad, "memory_limit", res(func(r *rt.LinuxContainerResources) { r.MemoryLimitInBytes = -2 })),
		createWith("oom score", bad, "oom_score_adj", res(func(r *rt.LinuxContainerResources) { r.OomScoreAdj = 1001 })),
		createWith("cpuset", bad, "cpuset_cpus", res(func(r *rt.LinuxContainerResources) { r.CpusetCpus = "0-x" })),
		createWith("huge page size", bad, "page_size", res(func(r *rt.LinuxContainerResources) {
			r.HugepageLimits = []*rt.HugepageLimit{{PageSize: "../2MB"}}
		})),
		createWith("unified key", bad, "unified", res(func(r *rt.LinuxContainerResources) { r.Unified = map[string]string{"../cgroup.procs": "1"} })),
		createWith("user and user name", bad, "run_as_user", sec(func(s *rt.LinuxContainerSecurityContext) { s.RunAsUsername = "app" })),
		createWith("group without user", bad, "run_as_group", sec(func(s *rt.LinuxContainerSecurityContext) {
			s.RunAsUser, s.RunAsGroup = nil, &rt.Int64Value{Value: 1}
		})),
		createWith("negative user", bad, "run_as_user", sec(func(s *rt.LinuxContainerSecurityContext) { s.RunAsUser.Value = -1 })),
		createWith("group out of range", bad, "supplemental_groups", sec(func(s *rt.LinuxContainerSecurityContext) { s.SupplementalGroups = []int64{1 << 33} })),
		createWith("unknown groups policy", bad, "policy", sec(func(s *rt.LinuxContainerSecurityContext) { s.SupplementalGroupsPolicy = 5 })),
		createWith("unknown capability", bad, "capabilit", sec(func(s *rt.LinuxContainerSecurityContext) {
			s.Capabilities.AddCapabilities = []string{"FLY"}
		})),
		createWith("relative masked path", bad, "masked", sec(func(s *rt.LinuxContainerSecurityContext) { s.MaskedPaths = []string{"proc"} })),
		createWith("relative seccomp profile", bad, "seccomp", sec(func(s *rt.LinuxContainerSecurityContext) {
			s.Seccomp = &rt.SecurityProfile{ProfileType: rt.SecurityProfile_Localhost, LocalhostRef: "x"}
		})),
		createWith("seccomp ref without localhost", bad, "localhost_ref", sec(func(s *rt.LinuxContainerSecurityContext) { s.Seccomp.LocalhostRef = "/x" })),
		createWith("unknown seccomp type", bad, "profile_type", sec(func(s *rt.LinuxContainerSecurityContext) { s.Seccomp.ProfileType = 9 })),
		createWith("old seccomp path", bad, "seccomp", sec(func(s *rt.LinuxContainerSecurityContext) { s.Seccomp, s.SeccompProfilePath = nil, "localhost/x" })),
		createWith("AppArmor profile", bad, "AppArmor", sec(func(s *rt.LinuxContainerSecurityContext) {
			s.Apparmor = &rt.SecurityProfile{ProfileType: rt.SecurityProfile_Localhost, LocalhostRef: "p"}
		})),
		createWith("privileged in a plain sandbox", bad, "privileged", sec(func(s *rt.LinuxContainerSecurityContext) { s.Privileged = true })),
		createWith("target without id", bad, "target_id", sec(func(s *rt.LinuxContainerSecurityContext) {
			s.NamespaceOptions = &rt.NamespaceOption{Pid: rt.NamespaceMode_TARGET}
		})),
		createWith("unknown target", bad, "target_id", sec(func(s *rt.LinuxContainerSecurityContext) {
			s.NamespaceOptions = &rt.NamespaceOption{Pid: rt.NamespaceMode_TARGET, TargetId: "ffff"}
		})),
	}
}

func malformedOthers() []malformed {
	return []malformed{
		call("StopPodSandbox no id", bad, "required", func(ctx context.Context, h *harness) error {
			_, err := h.pods.StopPodSandbox(ctx, &rt.StopPodSandboxRequest{})
			return err
		}),
		call("RemovePodSandbox path as id", bad, "not an id", func(ctx context.Context, h *harness) error {
			_, err := h.pods.RemovePodSandbox(ctx, &rt.RemovePodSandboxRequest{PodSandboxId: "../../etc"})
			return err
		}),
		call("PodSandboxStatus unknown", codes.NotFound, "", func(ctx context.Context, h *harness) error {
			_, err := h.pods.PodSandboxStatus(ctx, &rt.PodSandboxStatusRequest{PodSandboxId: "ffff"})
			return err
		}),
		call("ContainerStatus no id", bad, "required", func(ctx context.Context, h *harness) error {
			_, err := h.pods.ContainerStatus(ctx, &rt.ContainerStatusRequest{})
			return err
		}),
		call("ContainerStatus unknown", codes.NotFound, "", func(ctx context.Context, h *harness) error {
			_, err := h.pods.ContainerStatus(ctx, &rt.ContainerStatusRequest{ContainerId: "ffff"})
			return err
		}),
		call("StartContainer long id", bad, "longer", func(ctx context.Context, h *harness) error {
			_, err := h.pods.StartContainer(ctx, &rt.StartContainerRequest{ContainerId: strings.Repeat("a", 1000)})
			return err
		}),
		call("StopContainer negative timeout", bad, "timeout", func(ctx context.Context, h *harness) error {
			_, err := h.pods.StopContainer(ctx, &rt.StopContainerRequest{ContainerId: containerOf(h), Timeout: -1})
			return err
		}),
		call("StopContainer endless timeout", bad, "timeout", func(ctx context.Context, h *harness) error {
			_, err := h.pods.StopContainer(ctx, &rt.StopContainerRequest{ContainerId: containerOf(h), Timeout: 1 << 62})
			return err
		}),
		call("UpdateContainerResources nothing", bad, "required", func(ctx context.Context, h *harness) error {
			_, err := h.pods.UpdateContainerResources(ctx, &rt.UpdateContainerResourcesRequest{ContainerId: containerOf(h)})
			return err
		}),
		call("ListContainers unknown state", bad, "state", func(ctx context.Context, h *harness) error {
			_, err := h.pods.ListContainers(ctx, &rt.ListContainersRequest{Filter: &rt.ContainerFilter{State: &rt.ContainerStateValue{State: 44}}})
			return err
		}),
		call("ListPodSandbox bad id", bad, "filter.id", func(ctx context.Context, h *harness) error {
			_, err := h.pods.ListPodSandbox(ctx, &rt.ListPodSandboxRequest{Filter: &rt.PodSandboxFilter{Id: "a b"}})
			return err
		}),
		call("ExecSync no command", bad, "cmd", func(ctx context.Context, h *harness) error {
			_, err := h.pods.ExecSync(ctx, &rt.ExecSyncRequest{ContainerId: containerOf(h)})
			return err
		}),
		call("ExecSync negative timeout", bad, "timeout", func(ctx context.Context, h *harness) error {
			_, err := h.pods.ExecSync(ctx, &rt.ExecSyncRequest{ContainerId: containerOf(h), Cmd: []string{"x"}, Timeout: -3})
			return err
		}),
		call("ExecSync not running", codes.FailedPrecondition, "not running", func(ctx context.Context, h *harness) error {
			_, err := h.pods.ExecSync(ctx, &rt.ExecSyncRequest{ContainerId: containerOf(h), Cmd: []string{"x"}})
			return err
		}),
		call("Exec no streams", bad, "stdin", func(ctx context.Context, h *harness) error {
			_, err := h.pods.Exec(ctx, &rt.ExecRequest{ContainerId: containerOf(h), Cmd: []string{"x"}})
			return err
		}),
		call("Exec tty and stderr", bad, "stderr", func(ctx context.Context, h *harness) error {
			_, err := h.pods.Exec(ctx, &rt.ExecRequest{ContainerId: containerOf(h), Cmd: []string{"x"}, Tty: true, Stderr: true})
			return err
		}),
		call("Attach no streams", bad, "stdin", func(ctx context.Context, h *harness) error {
			_, err := h.pods.Attach(ctx, &rt.AttachRequest{ContainerId: containerOf(h)})
			return err
		}),
		call("Attach not running", codes.FailedPrecondition, "not running", func(ctx context.Context, h *harness) error {
			_, err := h.pods.Attach(ctx, &rt.AttachRequest{ContainerId: containerOf(h), Stdout: true})
			return err
		}),
		call("PortForward bad port", bad, "port", func(ctx context.Context, h *harness) error {
			_, err := h.pods.PortForward(ctx, &rt.PortForwardRequest{PodSandboxId: sandboxOf(h), Port: []int32{0}})
			return err
		}),
		call("UpdateRuntimeConfig bad CIDR", bad, "pod_cidr", func(ctx context.Context, h *harness) error {
			_, err := h.pods.UpdateRuntimeConfig(ctx, &rt.UpdateRuntimeConfigRequest{RuntimeConfig: &rt.RuntimeConfig{NetworkConfig: &rt.NetworkConfig{PodCidr: "x"}}})
			return err
		}),
		call("CheckpointContainer", unimplemented, "checkpoint", func(ctx context.Context, h *harness) error {
			_, err := h.pods.CheckpointContainer(ctx, &rt.CheckpointContainerRequest{ContainerId: containerOf(h)})
			return err
		}),
		call("UpdatePodSandboxResources negative", bad, "resources.memory_limit_in_bytes", func(ctx context.Context, h *harness) error {
			_, err := h.pods.UpdatePodSandboxResources(ctx, &rt.UpdatePodSandboxResourcesRequest{
				PodSandboxId: sandboxOf(h), Resources: &rt.LinuxContainerResources{MemoryLimitInBytes: -2},
			})
			return err
		}),
		call("UpdatePodSandboxResources overhead", bad, "overhead.cpu_quota", func(ctx context.Context, h *harness) error {
			_, err := h.pods.UpdatePodSandboxResources(ctx, &rt.UpdatePodSandboxResourcesRequest{
				PodSandboxId: sandboxOf(h), Overhead: &rt.LinuxContainerResources{CpuQuota: 1},
			})
			return err
		}),
		call("UpdatePodSandboxResources nothing", bad, "pod_sandbox_id", func(ctx context.Context, h *harness) error {
			_, err := h.pods.UpdatePodSandboxResources(ctx, &rt.UpdatePodSandboxResourcesRequest{})
			return err
		}),
		call("UpdatePodSandboxResources unknown", codes.NotFound, "feed", func(ctx context.Context, h *harness) error {
			_, err := h.pods.UpdatePodSandboxResources(ctx, &rt.UpdatePodSandboxResourcesRequest{PodSandboxId: "feed"})
			return err
		}),
		call("PullImage nil image", bad, "image", func(ctx context.Context, h *harness) error {
			_, err := h.images.PullImage(ctx, &rt.PullImageRequest{})
			return err
		}),
		call("PullImage long name", bad, "image", func(ctx context.Context, h *harness) error {
			_, err := h.images.PullImage(ctx, &rt.PullImageRequest{Image: &rt.ImageSpec{Image: strings.Repeat("a", 5000)}})
			return err
		}),
		call("PullImage unknown handler", bad, "handler", func(ctx context.Context, h *harness) error {
			_, err := h.images.PullImage(ctx, &rt.PullImageRequest{Image: &rt.ImageSpec{Image: "a", RuntimeHandler: "x"}})
			return err
		}),
		call("PullImage unknown handler annotation", bad, "handler", func(ctx context.Context, h *harness) error {
			_, err := h.images.PullImage(ctx, &rt.PullImageRequest{Image: &rt.ImageSpec{Image: "a"},
				SandboxConfig: &rt.PodSandboxConfig{Annotations: map[string]string{"io.containerd.cri.runtime-handler": "x"}}})
			return err
		}),
		call("ImageStatus empty", bad, "image", func(ctx context.Context, h *harness) error {
			_, err := h.images.ImageStatus(ctx, &rt.ImageStatusRequest{Image: &rt.ImageSpec{}})
			return err
		}),
		call("RemoveImage newline", bad, "image", func(ctx context.Context, h *harness) error {
			_, err := h.images.RemoveImage(ctx, &rt.RemoveImageRequest{Image: &rt.ImageSpec{Image: "a\nb"}})
			return err
		}),
		call("request beyond the message limit", codes.ResourceExhausted, "", func(ctx context.Context, h *harness) error {
			_, err := h.pods.ExecSync(ctx, &rt.ExecSyncRequest{ContainerId: "a", Cmd: []string{strings.Repeat("x", maxMessageSize+1)}})
			return err
		}),
	}
}

// TestMalformedRequests sends what can never work: each has its code and says
// what is wrong, and none reaches the runtime or the images.
func TestMalformedRequests(t *testing.T) {
	h := newHarness(t, testConfig())
	_, c := h.runPod(goodContainer())
	if err := h.rt.StopContainer(context.Background(), c, 0); err != nil {
		t.Fatal(err)
	}
	cases := append(append(malformedSandboxes(), malformedContainers()...), malformedOthers()...)
	if len(cases) < 60 {
		t.Fatalf("only %d cases", len(cases))
	}
	before := h.rt.called() + h.img.called()
	for _, m := range cases {
		t.Run(m.name, func(t *testing.T) {
			err := m.call(testContext(t), h)
			if got := status.Code(err); got != m.code {
				t.Fatalf("code %v, want %v: %v", got, m.code, err)
			}
			if !strings.Contains(err.Error(), m.text) {
				t.Errorf("%q does not say %q", err, m.text)
			}
			if after := h.rt.called() + h.img.called(); after != before {
				t.Errorf("it reached the layers below")
				before = after
			}
		})
	}
}
