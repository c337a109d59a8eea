package cdi

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"

	specs "tags.cncf.io/container-device-interface/specs-go"

	"github.com/paddock-run/paddock/podsandbox/ocispec"
)

// Edits is what a container gets of its devices.
type Edits struct {
	Env     []string // KEY=value; wins over the container's own
	Groups  []uint32
	Mounts  []Mount
	Devices []ocispec.Device
}

// Mount shows a file or folder of the node. It replaces what the container has at the same path.
type Mount struct {
	HostPath, ContainerPath     string
	ReadOnly, RecursiveReadOnly bool
	FollowHost                  bool // what the node mounts below it later is seen
	Options                     []string
}

// add adds the edits of one spec or device, or tells what of them cannot be given.
func (e *Edits) add(in *specs.ContainerEdits) error {
	switch {
	case len(in.Hooks) > 0:
		return fmt.Errorf("its hook %s runs on the node, which a container in a VM is not on", in.Hooks[0].Path)
	case len(in.NetDevices) > 0:
		return fmt.Errorf("network interface %s of the node cannot be passed into a VM", in.NetDevices[0].HostInterfaceName)
	case in.IntelRdt != nil:
		return errors.New("its RDT class is the node's, and none of a VM's")
	}
	for _, d := range in.DeviceNodes {
		device, err := guestDevice(d)
		if err != nil {
			return fmt.Errorf("device node %s: %w", d.Path, err)
		}
		e.Devices = append(e.Devices, device)
	}
	for _, m := range in.Mounts {
		mount, err := hostMount(m)
		if err != nil {
			return fmt.Errorf("mount %s: %w", m.ContainerPath, err)
		}
		e.Mounts = append(e.Mounts, mount)
	}
	e.Env = append(e.Env, in.Env...)
	for _, gid := range in.AdditionalGIDs {
		if gid != 0 { // meaningless, as the CDI library has it
			e.Groups = append(e.Groups, gid)
		}
	}
	return nil
}

// guestDevice finds the device of the guest that stands for a node's of the same path.
func guestDevice(d *specs.DeviceNode) (ocispec.Device, error) {
	host := d.HostPath
	if host == "" {
		host = d.Path
	}
	known, ok := ocispec.GuestDevice(host)
	if !ok {
		return ocispec.Device{}, fmt.Errorf("%s is a device of the node and cannot be passed into a VM", host)
	}
	if !path.IsAbs(d.Path) {
		return ocispec.Device{}, errors.New("its path is not absolute")
	}
	if d.Type != "" && d.Type != known.Type && !(d.Type == "u" && known.Type == "c") {
		return ocispec.Device{}, fmt.Errorf("its type is %q, and %q in a VM", d.Type, known.Type)
	}
	if d.Major|d.Minor != 0 && (d.Major != known.Major || d.Minor != known.Minor) {
		return ocispec.Device{}, fmt.Errorf("its numbers are %d:%d, and %d:%d in a VM", d.Major, d.Minor, known.Major, known.Minor)
	}
	return ocispec.Device{
		ContainerPath: d.Path, GuestPath: host, Permissions: d.Permissions,
		FileMode: d.FileMode, UID: d.UID, GID: d.GID, UserOwned: true,
	}, nil
}

// bindOptions are the mount options that are applied as they are.
var bindOptions = []string{"noexec", "exec", "nodev", "dev", "nosuid", "suid", "noatime", "nodiratime", "relatime", "strictatime"}

func hostMount(in *specs.Mount) (Mount, error) {
	out := Mount{HostPath: in.HostPath, ContainerPath: in.ContainerPath}
	if in.Type != "" && in.Type != "bind" && in.Type != "none" {
		return out, fmt.Errorf("type %q: only bind mounts can be made", in.Type)
	}
	if !path.IsAbs(in.ContainerPath) || path.Clean(in.ContainerPath) == "/" || !filepath.IsAbs(in.HostPath) {
		return out, fmt.Errorf("host path %q or the container's is not absolute, or is the root", in.HostPath)
	}
	info, err := os.Stat(in.HostPath)
	if err != nil {
		return out, err
	}
	if !info.IsDir() && !info.Mode().IsRegular() {
		return out, fmt.Errorf("%s is neither a file nor a folder: what it is works on the node only", in.HostPath)
	}
	for _, o := range in.Options {
		switch o {
		case "bind", "rbind", "rw", "private", "rprivate":
		case "ro":
			out.ReadOnly = true
		case "rro":
			out.ReadOnly, out.RecursiveReadOnly = true, true
		case "slave", "rslave":
			out.FollowHost = true
		default:
			if !slices.Contains(bindOptions, o) {
				return out, fmt.Errorf("option %q cannot be applied in a VM", o)
			}
			out.Options = append(out.Options, o)
		}
	}
	return out, nil
}
