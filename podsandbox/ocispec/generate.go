package ocispec

import (
	"path"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Generate makes the specification. Errors wrap ErrInvalid.
func Generate(c Container) (*specs.Spec, error) {
	args, err := Args(c)
	if err != nil {
		return nil, err
	}
	caps, err := capabilities(c)
	if err != nil {
		return nil, err
	}
	devices, rules, err := deviceAccess(c)
	if err != nil {
		return nil, err
	}
	oom := int(c.Resources.OOMScoreAdj)
	spec := &specs.Spec{
		Version: specs.Version,
		Root:    &specs.Root{Path: "rootfs", Readonly: c.ReadOnlyRootfs},
		Process: &specs.Process{
			Terminal:        c.TTY,
			Args:            args,
			Env:             environment(c),
			Cwd:             workingDir(c),
			Capabilities:    caps,
			NoNewPrivileges: c.NoNewPrivs,
			OOMScoreAdj:     &oom,
		},
		Mounts:      defaultMounts(c.Privileged),
		Annotations: c.Annotations,
		Linux: &specs.Linux{
			CgroupsPath: path.Join("/pod", c.ID),
			Devices:     devices,
			Resources:   LinuxResources(c.Resources),
		},
	}
	spec.Linux.Resources.Devices = rules
	if !c.Privileged {
		spec.Linux.MaskedPaths = c.MaskedPaths
		spec.Linux.ReadonlyPaths = c.ReadonlyPaths
	}
	if spec.Linux.Seccomp, err = seccompFilter(c, spec); err != nil {
		return nil, err
	}
	return spec, nil
}

// defaultMounts are the kernel's file systems, as containerd mounts them. A
// privileged container may write to sysfs and its cgroups.
func defaultMounts(privileged bool) []specs.Mount {
	access := "ro"
	if privileged {
		access = "rw"
	}
	return []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
		{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", access}},
		{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"nosuid", "noexec", "nodev", "relatime", access}},
	}
}
