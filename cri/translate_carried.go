package cri

import (
	"context"
	goruntime "runtime"

	"google.golang.org/protobuf/proto"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/admission/carry"
	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/podsandbox"
)

// Paths that a Linux kubelet sends for procMount: Default (pkg/securitycontext/util.go of Kubernetes).
var (
	maskedPaths = []string{
		"/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
		"/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi",
		"/sys/devices/virtual/powercap", "/sys/firmware",
	}
	readonlyPaths = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
)

// withCarried returns the container's config with what a Windows kubelet left
// out of it for a Linux pod, which the pod's annotation carries (package carry).
// On a Linux node, and for a Windows pod, it is the config as it came.
func (s *Server) withCarried(ctx context.Context, cfg *runtimeapi.ContainerConfig, sb *podsandbox.SandboxStatus) (*runtimeapi.ContainerConfig, error) {
	os, _ := sb.Config.Handler.OS()
	if s.cfg.HostOS != guest.Windows || os != guest.Linux || cfg.GetLinux() != nil {
		return cfg, nil
	}
	var pod carry.Pod
	if value, ok := sb.Config.Annotations[carry.Annotation]; ok {
		var err error
		if pod, err = carry.Decode(value); err != nil {
			return nil, invalid("sandbox_config.annotations", "%v", err)
		}
	}
	// Of a container that it does not tell of, an ephemeral one, the zero value is right: no user, no capability more.
	own := pod.Containers[cfg.GetMetadata().GetName()]
	if err := s.checkNonRoot(ctx, &own, cfg.GetImage().GetImage()); err != nil {
		return nil, err
	}
	out := proto.Clone(cfg).(*runtimeapi.ContainerConfig)
	out.Linux = &runtimeapi.LinuxContainerConfig{
		Resources:       carriedResources(cfg.GetWindows().GetResources(), own.CPURequest),
		SecurityContext: carriedSecurity(&pod, &own, sb),
	}
	return out, checkContainerSecurity(out.Linux.SecurityContext)
}

func carriedSecurity(pod *carry.Pod, own *carry.Container, sb *podsandbox.SandboxStatus) *runtimeapi.LinuxContainerSecurityContext {
	sc := &runtimeapi.LinuxContainerSecurityContext{
		Privileged: own.Privileged,
		NamespaceOptions: &runtimeapi.NamespaceOption{
			Network: criNamespaceMode(sb.Config.Namespaces.Network), Pid: criNamespaceMode(sb.Config.Namespaces.PID), Ipc: criNamespaceMode(sb.Config.Namespaces.IPC),
		},
		SupplementalGroups: pod.Groups,
		ReadonlyRootfs:     own.ReadOnlyRoot,
		NoNewPrivs:         own.NoNewPrivileges,
		Capabilities:       &runtimeapi.Capability{AddCapabilities: own.AddCapabilities, DropCapabilities: own.DropCapabilities},
		Seccomp:            carriedSeccomp(own.Seccomp),
	}
	if own.User != nil {
		sc.RunAsUser = &runtimeapi.Int64Value{Value: *own.User}
	}
	if own.Group != nil {
		sc.RunAsGroup = &runtimeapi.Int64Value{Value: *own.Group}
	}
	if pod.StrictGroups {
		sc.SupplementalGroupsPolicy = runtimeapi.SupplementalGroupsPolicy_Strict
	}
	if !own.Privileged && !own.UnmaskedProc {
		sc.MaskedPaths, sc.ReadonlyPaths = maskedPaths, readonlyPaths
	}
	return sc
}

func carriedSeccomp(p carry.Seccomp) *runtimeapi.SecurityProfile {
	switch p.Type {
	case "RuntimeDefault":
		return &runtimeapi.SecurityProfile{ProfileType: runtimeapi.SecurityProfile_RuntimeDefault}
	case "Localhost":
		return &runtimeapi.SecurityProfile{ProfileType: runtimeapi.SecurityProfile_Localhost, LocalhostRef: p.File}
	}
	return &runtimeapi.SecurityProfile{ProfileType: runtimeapi.SecurityProfile_Unconfined}
}

// checkNonRoot does what a Linux kubelet does for runAsNonRoot; a Windows one does not look at uids.
func (s *Server) checkNonRoot(ctx context.Context, own *carry.Container, image string) error {
	if !own.NonRoot {
		return nil
	}
	const field = "sandbox_config.annotations"
	if own.User != nil {
		if *own.User == 0 {
			return invalid(field, "runAsNonRoot: the container's runAsUser is root")
		}
		return nil
	}
	img, err := s.findImage(ctx, image, guest.Linux)
	if err != nil {
		return err
	}
	switch uid, name := imageUser(img.Config.User); {
	case name != "":
		return invalid(field, "runAsNonRoot: the image's user %q is a name, and may be root: set runAsUser", clip(name))
	case uid.GetValue() == 0:
		return invalid(field, "runAsNonRoot: the image would run as root: set runAsUser")
	}
	return nil
}

// carriedResources are a Windows kubelet's limits as Linux has them. Its
// CpuMaximum is in ten-thousandths of all the node's processors
// (calculateCPUMaximum in pkg/kubelet/kuberuntime of Kubernetes).
func carriedResources(w *runtimeapi.WindowsContainerResources, cpuRequest int64) *runtimeapi.LinuxContainerResources {
	const period = 100000 // microseconds
	out := &runtimeapi.LinuxContainerResources{CpuShares: cpuShares(cpuRequest), MemoryLimitInBytes: w.GetMemoryLimitInBytes()}
	if m := w.GetCpuMaximum(); m > 0 {
		out.CpuPeriod, out.CpuQuota = period, max(m*int64(goruntime.NumCPU())*period/10000, 1000)
	}
	return out
}

// cpuShares is how kubelet translates a CPU request (MilliCPUToShares in pkg/kubelet/cm of Kubernetes).
func cpuShares(milli int64) int64 {
	const most, least = 262144, 2
	return min(max(milli*1024/1000, least), most)
}
