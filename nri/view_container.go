package nri

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/containerd/nri/pkg/api"

	"github.com/paddock-run/paddock/podsandbox"
)

// view is the container in NRI's words. Its process id stays 0: it is none of the node's.
func (e *containerEntry) view() *api.Container {
	st := &e.status
	cfg := &st.Config
	out := &api.Container{
		Id: st.ID, PodSandboxId: st.SandboxID, Name: cfg.Meta.Name, State: e.state,
		Labels: maps.Clone(cfg.Labels), Annotations: map[string]string{}, Mounts: mounts(st),
		CreatedAt: nanos(st.Created), StartedAt: nanos(st.Started), FinishedAt: nanos(st.Finished),
		ExitCode: st.ExitCode, StatusReason: st.Reason, StatusMessage: st.Message,
		User: user(st), Image: image(st), Linux: linux(st),
	}
	for _, name := range cfg.CDIDevices {
		out.CDIDevices = append(out.CDIDevices, &api.CDIDevice{Name: name})
	}
	if spec := st.Spec; spec != nil {
		maps.Copy(out.Annotations, spec.Annotations)
		out.Hooks = api.FromOCIHooks(spec.Hooks)
		if p := spec.Process; p != nil {
			out.Args, out.Env = slices.Clone(p.Args), slices.Clone(p.Env)
			for _, l := range p.Rlimits {
				out.Rlimits = append(out.Rlimits, &api.POSIXRlimit{Type: l.Type, Hard: l.Hard, Soft: l.Soft})
			}
		}
	}
	maps.Copy(out.Annotations, cfg.Annotations)
	return out
}

// linux is what is of Linux. Namespaces: all are the pod's VM's, none the node's, so none has a path.
func linux(st *podsandbox.ContainerStatus) *api.LinuxContainer {
	cfg := &st.Config
	oom := int(cfg.Resources.OOMScoreAdj)
	out := &api.LinuxContainer{
		Resources:   toNRI(&cfg.Resources),
		OomScoreAdj: api.Int(&oom),
		SeccompProfile: &api.SecurityProfile{
			ProfileType: api.SecurityProfile_ProfileType(cfg.Security.Seccomp.Kind), LocalhostRef: cfg.Security.Seccomp.Localhost,
		},
	}
	for _, kind := range []string{"pid", "network", "ipc", "uts", "mount", "cgroup"} {
		out.Namespaces = append(out.Namespaces, &api.LinuxNamespace{Type: kind})
	}
	if spec := st.Spec; spec != nil && spec.Linux != nil {
		out.Devices = api.FromOCILinuxDevices(spec.Linux.Devices)
		out.CgroupsPath = spec.Linux.CgroupsPath
		out.Sysctl = maps.Clone(spec.Linux.Sysctl)
		if spec.Linux.Seccomp != nil {
			out.SeccompPolicy = api.FromOCILinuxSeccomp(spec.Linux.Seccomp)
		}
		if spec.Linux.Resources != nil {
			out.Resources.Devices = api.FromOCILinuxResources(spec.Linux.Resources, nil).GetDevices()
		}
	}
	return out
}

// mounts are the kernel's file systems, then the container's mounts with their paths on the node.
func mounts(st *podsandbox.ContainerStatus) []*api.Mount {
	var out []*api.Mount
	if st.Spec != nil {
		out = api.FromOCIMounts(st.Spec.Mounts)
	}
	for i := range st.Config.Mounts {
		m := &st.Config.Mounts[i]
		switch {
		case m.Image != "":
			out = append(out, &api.Mount{Destination: m.ContainerPath, Type: "image", Source: m.Image, Options: bindOptions(m)})
		case m.Tmpfs:
			out = append(out, &api.Mount{Destination: m.ContainerPath, Type: "tmpfs", Source: "tmpfs", Options: slices.Clone(m.Options)})
		default:
			out = append(out, &api.Mount{Destination: m.ContainerPath, Type: "bind", Source: m.HostPath, Options: bindOptions(m)})
		}
	}
	return out
}

func bindOptions(m *podsandbox.Mount) []string {
	access := "rw"
	switch {
	case m.RecursiveReadOnly:
		access = "rro"
	case m.ReadOnly:
		access = "ro"
	}
	propagation := map[podsandbox.Propagation]string{
		podsandbox.PropagationHostToContainer: "rslave", podsandbox.PropagationBidirectional: "rshared",
	}[m.Propagation]
	if propagation == "" {
		propagation = "rprivate"
	}
	return append([]string{"rbind", propagation, access}, m.Options...)
}

// user is who the process runs as; before the container is made, who it was asked to run as by number.
func user(st *podsandbox.ContainerStatus) *api.User {
	if u := st.User; u != nil {
		out := &api.User{Uid: uint32(u.UID), Gid: uint32(u.GID)}
		for _, g := range u.Groups {
			out.AdditionalGids = append(out.AdditionalGids, uint32(g))
		}
		return out
	}
	sc := &st.Config.Security
	if sc.RunAsUser == nil {
		return nil
	}
	out := &api.User{Uid: uint32(*sc.RunAsUser)}
	if sc.RunAsGroup != nil {
		out.Gid = uint32(*sc.RunAsGroup)
	}
	return out
}

func image(st *podsandbox.ContainerStatus) *api.Image {
	name := st.Config.UserImage
	if name == "" {
		name = st.Config.Image
	}
	_, digest, _ := strings.Cut(st.ImageRef, "@")
	return &api.Image{Name: name, Digest: digest, ConfigDigest: st.ImageID}
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}
