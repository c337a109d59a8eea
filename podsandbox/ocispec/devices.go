package ocispec

import (
	"fmt"
	"os"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// guestDevices are the devices that every guest has. A device of the host
// cannot be passed into a VM; one of the same name in the guest is what is meant.
var guestDevices = map[string]specs.LinuxDevice{
	"/dev/null":         char(1, 3),
	"/dev/zero":         char(1, 5),
	"/dev/full":         char(1, 7),
	"/dev/random":       char(1, 8),
	"/dev/urandom":      char(1, 9),
	"/dev/kmsg":         char(1, 11),
	"/dev/tty":          char(5, 0),
	"/dev/console":      char(5, 1),
	"/dev/hwrng":        char(10, 183),
	"/dev/net/tun":      char(10, 200),
	"/dev/fuse":         char(10, 229),
	"/dev/loop-control": char(10, 237),
}

// GuestDevice is the device that every guest has at a path: type and numbers.
func GuestDevice(path string) (specs.LinuxDevice, bool) {
	d, ok := guestDevices[path]
	return d, ok
}

// IsGuestDevice tells whether every guest has a device of these numbers, and it means the same as on the node.
func IsGuestDevice(kind string, major, minor int64) bool {
	for _, d := range guestDevices {
		if d.Type == kind && d.Major == major && d.Minor == minor {
			return true
		}
	}
	return false
}

// usualDevices are made in every container by the OCI runtime itself.
var usualDevices = []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/console"}

func char(major, minor int64) specs.LinuxDevice {
	return specs.LinuxDevice{Type: "c", Major: major, Minor: minor}
}

// deviceAccess returns the device nodes to make and the cgroup's rules.
func deviceAccess(c Container) ([]specs.LinuxDevice, []specs.LinuxDeviceCgroup, error) {
	nodes, rules, err := requestedDevices(c.Devices)
	if err != nil {
		return nil, nil, err
	}
	if c.Privileged {
		for _, path := range []string{"/dev/kmsg", "/dev/hwrng", "/dev/net/tun", "/dev/fuse", "/dev/loop-control"} {
			if !hasNode(nodes, path) {
				nodes = append(nodes, node(path, guestDevices[path]))
			}
		}
		return nodes, []specs.LinuxDeviceCgroup{{Allow: true, Access: "rwm"}}, nil
	}
	all := []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}
	// Any node may be made; using it is what the rules that follow allow.
	all = append(all, specs.LinuxDeviceCgroup{Allow: true, Type: "c", Access: "m"},
		specs.LinuxDeviceCgroup{Allow: true, Type: "b", Access: "m"})
	for _, path := range usualDevices {
		all = append(all, rule(guestDevices[path], "rwm"))
	}
	ptmx, anyPTY := int64(5), int64(136)
	two := int64(2)
	all = append(all,
		specs.LinuxDeviceCgroup{Allow: true, Type: "c", Major: &ptmx, Minor: &two, Access: "rwm"},
		specs.LinuxDeviceCgroup{Allow: true, Type: "c", Major: &anyPTY, Access: "rwm"})
	return nodes, append(all, rules...), nil
}

func requestedDevices(devices []Device) (nodes []specs.LinuxDevice, rules []specs.LinuxDeviceCgroup, err error) {
	for _, d := range devices {
		known, ok := GuestDevice(d.GuestPath)
		if !ok {
			return nil, nil, fmt.Errorf("%w: device %s: a device of the host cannot be passed into a VM", ErrInvalid, d.GuestPath)
		}
		access := d.Permissions
		if access == "" {
			access = "rwm"
		}
		if access == NoAccess {
			access = ""
		}
		if strings.Trim(access, "rwm") != "" {
			return nil, nil, fmt.Errorf("%w: device %s: permissions %q are not of r, w and m", ErrInvalid, d.GuestPath, access)
		}
		path := d.ContainerPath
		if path == "" {
			path = d.GuestPath
		}
		nodes = append(nodes, d.node(path, known))
		if access != "" {
			rules = append(rules, rule(known, access))
		}
	}
	return nodes, rules, nil
}

// node is the device's node. The agent gives nodes without an owner to the container's user.
func (d Device) node(path string, known specs.LinuxDevice) specs.LinuxDevice {
	n := node(path, known)
	if d.FileMode != nil {
		n.FileMode = d.FileMode
	}
	if d.UserOwned || d.UID != nil {
		n.UID = d.UID
	}
	if d.UserOwned || d.GID != nil {
		n.GID = d.GID
	}
	return n
}

func hasNode(nodes []specs.LinuxDevice, path string) bool {
	for _, n := range nodes {
		if n.Path == path {
			return true
		}
	}
	return false
}

func node(path string, d specs.LinuxDevice) specs.LinuxDevice {
	mode, root := os.FileMode(0o666), uint32(0)
	d.Path, d.FileMode, d.UID, d.GID = path, &mode, &root, &root
	return d
}

func rule(d specs.LinuxDevice, access string) specs.LinuxDeviceCgroup {
	return specs.LinuxDeviceCgroup{Allow: true, Type: d.Type, Major: &d.Major, Minor: &d.Minor, Access: access}
}
