package nri

import (
	"reflect"
	"testing"

	"github.com/containerd/nri/pkg/api"
)

// TestEveryFieldIsKnown fails when NRI's messages gain a field that adjust neither makes nor refuses.
func TestEveryFieldIsKnown(t *testing.T) {
	for _, c := range []struct {
		message any
		known   []string
	}{
		{api.ContainerAdjustment{}, []string{"Annotations", "Mounts", "Env", "Hooks", "Linux", "Rlimits", "CDIDevices", "Args"}},
		{api.LinuxContainerAdjustment{}, []string{"Devices", "Resources", "CgroupsPath", "OomScoreAdj", "IoPriority", "SeccompPolicy",
			"Namespaces", "Sysctl", "NetDevices", "Scheduler", "Rdt", "MemoryPolicy"}},
		{api.LinuxResources{}, []string{"Memory", "Cpu", "HugepageLimits", "BlockioClass", "RdtClass", "Unified", "Devices", "Pids"}},
		{api.LinuxMemory{}, []string{"Limit", "Reservation", "Swap", "Kernel", "KernelTcp", "Swappiness", "DisableOomKiller", "UseHierarchy"}},
		{api.LinuxCPU{}, []string{"Shares", "Quota", "Period", "RealtimeRuntime", "RealtimePeriod", "Cpus", "Mems"}},
		{api.LinuxSeccomp{}, []string{"DefaultAction", "DefaultErrno", "Architectures", "Flags", "ListenerPath", "ListenerMetadata", "Syscalls"}},
		{api.Hooks{}, []string{"Prestart", "CreateRuntime", "CreateContainer", "StartContainer", "Poststart", "Poststop"}},
		{api.LinuxRdt{}, []string{"ClosId", "Schemata", "EnableMonitoring", "Remove"}},
	} {
		known := map[string]bool{}
		for _, name := range c.known {
			known[name] = true
		}
		for _, f := range reflect.VisibleFields(reflect.TypeOf(c.message)) {
			if f.IsExported() && !known[f.Name] {
				t.Errorf("%T has a new field %s: make it or refuse it", c.message, f.Name)
			}
		}
	}
}
