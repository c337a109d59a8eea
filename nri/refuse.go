package nri

import "github.com/containerd/nri/pkg/api"

// Reasons for what a pod in a VM cannot have.
const (
	whyHooks      = "the program would run on the node, where the container is not; only startContainer hooks run in the container"
	whyNamespaces = "the container's namespaces are those of its pod's VM; the node's cannot be joined"
	whyCgroup     = "the container's cgroup is in its pod's VM, which names it"
	whyNodeDevice = "a device of the node cannot be passed into the pod's VM"
	whyNUMA       = "the pod's VM has memory of one kind only"
	whyRuntime    = "the OCI runtime in the pod's VM does not know it"
	whyRDT        = "the node's caches are shared out among processes of the node, and the container's are in its pod's VM"
	whyBlockIO    = "classes are defined on the node's block devices, which the pod's VM does not have; unified with io.* keys limits its own"
	whyCgroupV1   = "the pod's VM has cgroup v2, which does not know it"
)

// refuse looks for adjustments that a pod in a VM cannot have.
func refuse(want *api.ContainerAdjustment) error {
	linux, hooks := want.GetLinux(), want.GetHooks()
	for _, f := range []struct {
		field string
		asked bool
		why   string
	}{
		{"hooks.prestart", len(hooks.GetPrestart()) > 0, whyHooks},
		{"hooks.create_runtime", len(hooks.GetCreateRuntime()) > 0, whyHooks},
		{"hooks.create_container", len(hooks.GetCreateContainer()) > 0, whyHooks},
		{"hooks.poststart", len(hooks.GetPoststart()) > 0, whyHooks},
		{"hooks.poststop", len(hooks.GetPoststop()) > 0, whyHooks},
		{"CDI_devices", len(want.GetCDIDevices()) > 0, whyNodeDevice},
		{"linux.cgroups_path", linux.GetCgroupsPath() != "", whyCgroup},
		{"linux.namespaces", len(linux.GetNamespaces()) > 0, whyNamespaces},
		{"linux.net_devices", len(linux.GetNetDevices()) > 0, whyNodeDevice},
		{"linux.io_priority", linux.GetIoPriority() != nil, whyRuntime},
		{"linux.scheduler", linux.GetScheduler() != nil, whyRuntime},
		{"linux.memory_policy", linux.GetMemoryPolicy() != nil, whyNUMA},
		// NRI sets rdt whether anyone asked or not. Removing what there is not is fine.
		{"linux.rdt.clos_id", linux.GetRdt().GetClosId() != nil, whyRDT},
		{"linux.rdt.schemata", linux.GetRdt().GetSchemata() != nil, whyRDT},
		{"linux.rdt.enable_monitoring", linux.GetRdt().GetEnableMonitoring().GetValue(), whyRDT},
		{"linux.seccomp_policy.listener_path", linux.GetSeccompPolicy().GetListenerPath() != "" || linux.GetSeccompPolicy().GetListenerMetadata() != "", "the socket would be the node's, which the pod's VM cannot reach"},
	} {
		if f.asked {
			return unsupported(f.field, f.why)
		}
	}
	return nil
}
