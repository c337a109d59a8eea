package ocispec

import (
	"fmt"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// allCapabilities are those of Linux 5.9 and later, in the kernel's order.
var allCapabilities = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL",
	"CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE",
	"CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER",
	"CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_PACCT",
	"CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE", "CAP_SYS_TIME",
	"CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL",
	"CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM",
	"CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
}

// defaultCapabilities are what containerd gives a container.
var defaultCapabilities = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW",
	"CAP_SETGID", "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE",
	"CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
}

const all = "ALL"

// capabilities applies ALL first, then the single ones, additions before drops, as containerd does.
func capabilities(c Container) (*specs.LinuxCapabilities, error) {
	add, err := capabilityNames(c.AddCapabilities)
	if err != nil {
		return nil, err
	}
	drop, err := capabilityNames(c.DropCapabilities)
	if err != nil {
		return nil, err
	}
	ambient, err := capabilityNames(c.AmbientCapabilities)
	if err != nil {
		return nil, err
	}
	set := slices.Clone(defaultCapabilities)
	if c.Privileged || slices.Contains(add, all) {
		set = slices.Clone(allCapabilities)
	}
	if !c.Privileged {
		if slices.Contains(drop, all) {
			set = nil
		}
		for _, name := range append(add, ambient...) {
			if name != all && !slices.Contains(set, name) {
				set = append(set, name)
			}
		}
		set = slices.DeleteFunc(set, func(name string) bool { return slices.Contains(drop, name) })
	}
	if slices.Contains(ambient, all) {
		ambient = allCapabilities
	}
	// What is ambient must be permitted and inheritable too, or the kernel refuses it.
	ambient = slices.DeleteFunc(slices.Clone(ambient), func(name string) bool { return !slices.Contains(set, name) })
	return &specs.LinuxCapabilities{
		Bounding: set, Permitted: set, Effective: set, Inheritable: ambient, Ambient: ambient,
	}, nil
}

// capabilityNames spells capabilities as the kernel does, and refuses unknown ones.
func capabilityNames(names []string) ([]string, error) {
	var out []string
	for _, name := range names {
		upper := strings.ToUpper(name)
		if upper == all {
			out = append(out, all)
			continue
		}
		if !strings.HasPrefix(upper, "CAP_") {
			upper = "CAP_" + upper
		}
		if !slices.Contains(allCapabilities, upper) {
			return nil, fmt.Errorf("%w: unknown capability %q", ErrInvalid, name)
		}
		out = append(out, upper)
	}
	return out, nil
}
