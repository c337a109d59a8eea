package nri

import (
	"path"
	"slices"
	"strings"

	"github.com/containerd/nri/pkg/api"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/paddock-run/paddock/podsandbox"
)

// podFiles are mounted from the pod's VM where nothing else is.
var podFiles = []string{"/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/dev/shm"}

// kernelTypes are the file systems that the VM's kernel itself fills.
var kernelTypes = []string{"proc", "sysfs", "mqueue", "devpts", "cgroup", "cgroup2"}

// adjustMounts replaces, adds and removes mounts. Host paths are shared with the VM as any volume is.
func adjustMounts(c *podsandbox.ContainerStatus, want *api.ContainerAdjustment) error {
	c.Config.Mounts = slices.Clone(c.Config.Mounts)
	for _, m := range want.GetMounts() {
		name, remove := m.IsMarkedForRemoval()
		destination := path.Clean(name)
		if !path.IsAbs(name) || destination == "/" {
			return invalid("mounts", "destination %q is no absolute path below the root", name)
		}
		had := removeMount(c, destination)
		if remove {
			if !had && slices.Contains(podFiles, destination) {
				return unsupported("mounts", "-"+destination+" is the pod's own and can be replaced, not removed")
			}
			continue
		}
		if err := addMount(c, destination, m); err != nil {
			return err
		}
	}
	return nil
}

func removeMount(c *podsandbox.ContainerStatus, destination string) (had bool) {
	n := len(c.Config.Mounts) + len(c.Spec.Mounts)
	c.Config.Mounts = slices.DeleteFunc(c.Config.Mounts, func(m podsandbox.Mount) bool { return path.Clean(m.ContainerPath) == destination })
	c.Spec.Mounts = slices.DeleteFunc(c.Spec.Mounts, func(m specs.Mount) bool { return path.Clean(m.Destination) == destination })
	return len(c.Config.Mounts)+len(c.Spec.Mounts) < n
}

func addMount(c *podsandbox.ContainerStatus, destination string, m *api.Mount) error {
	switch kind := m.GetType(); {
	case kind == "bind", slices.Contains(m.GetOptions(), "bind"), slices.Contains(m.GetOptions(), "rbind"):
		bind, err := bindMount(destination, m)
		if err != nil {
			return err
		}
		c.Config.Mounts = append(c.Config.Mounts, bind)
	case kind == "tmpfs":
		c.Config.Mounts = append(c.Config.Mounts, podsandbox.Mount{
			ContainerPath: destination, Tmpfs: true, ReadOnly: slices.Contains(m.GetOptions(), "ro"), Options: slices.Clone(m.GetOptions()),
		})
	case slices.Contains(kernelTypes, kind):
		c.Spec.Mounts = append(c.Spec.Mounts, specs.Mount{
			Destination: destination, Type: kind, Source: m.GetSource(), Options: slices.Clone(m.GetOptions()),
		})
	default:
		return unsupported("mounts", destination+": a file system of type "+kind+
			" would be mounted by the pod's VM, which has not the node's devices and network; mount it on the node and bind it")
	}
	return nil
}

// flags are the options of a bind mount that go on to the guest as they are.
var flags = []string{"noexec", "exec", "nodev", "dev", "nosuid", "suid", "noatime", "atime", "nodiratime", "diratime", "relatime", "norelatime", "strictatime"}

func bindMount(destination string, m *api.Mount) (podsandbox.Mount, error) {
	out := podsandbox.Mount{ContainerPath: destination, HostPath: m.GetSource()}
	if !path.IsAbs(m.GetSource()) {
		return out, invalid("mounts", "%s: source %q is no absolute path on the node", destination, m.GetSource())
	}
	for _, o := range m.GetOptions() {
		switch o {
		case "bind", "rbind", "rw":
		case "ro":
			out.ReadOnly = true
		case "rro":
			out.ReadOnly, out.RecursiveReadOnly = true, true
		case "private", "rprivate":
			out.Propagation = podsandbox.PropagationPrivate
		case "slave", "rslave":
			out.Propagation = podsandbox.PropagationHostToContainer
		case "shared", "rshared":
			out.Propagation = podsandbox.PropagationBidirectional
		default:
			if strings.Contains(o, "idmap") || strings.HasPrefix(o, "uidmap") || strings.HasPrefix(o, "gidmap") {
				return out, unsupported("mounts", destination+": id-mapped mounts are not available")
			}
			if !slices.Contains(flags, o) {
				return out, invalid("mounts", "%s: %q is no option of a bind mount", destination, o)
			}
			out.Options = append(out.Options, o)
		}
	}
	return out, nil
}
