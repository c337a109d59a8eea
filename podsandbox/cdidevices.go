package podsandbox

import (
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/paddock-run/paddock/podsandbox/cdi"
	"github.com/paddock-run/paddock/podsandbox/ocispec"
)

// findDevices resolves the CDI devices that the container asks for.
func (k *containerMake) findDevices() error {
	names, err := cdi.Requested(k.cfg.CDIDevices, k.cfg.Annotations)
	if err == nil {
		k.devices, err = k.m.cdi.Resolve(names)
	}
	if errors.Is(err, cdi.ErrName) {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return err
}

// addDevices adds the CDI devices to a specification's input. Their nodes
// replace the container's own, and their variables win.
func (k *containerMake) addDevices(in *ocispec.Container) {
	in.Env = append(in.Env, k.devices.Env...)
	for _, d := range k.devices.Devices {
		in.Devices = slices.DeleteFunc(in.Devices, func(have ocispec.Device) bool { return have.ContainerPath == d.ContainerPath })
		in.Devices = append(in.Devices, d)
	}
}

// allMounts are the container's mounts and those of its CDI devices, which win.
func (k *containerMake) allMounts() []Mount {
	all := slices.Clone(k.cfg.Mounts)
	for _, m := range k.devices.Mounts {
		target := path.Clean(m.ContainerPath)
		all = slices.DeleteFunc(all, func(have Mount) bool { return path.Clean(have.ContainerPath) == target })
		mount := Mount{
			ContainerPath: m.ContainerPath, HostPath: m.HostPath,
			ReadOnly: m.ReadOnly, RecursiveReadOnly: m.RecursiveReadOnly, Options: m.Options,
		}
		if m.FollowHost {
			mount.Propagation = PropagationHostToContainer
		}
		all = append(all, mount)
	}
	return all
}
