package qemu

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/paddock-run/paddock/podsandbox/vm"
)

// DefaultStateDir is where the state of VMs is kept: a file system that a
// reboot empties, as a reboot ends the VMs.
const DefaultStateDir = "/run/paddock/vm"

const consoleSocket = "console.sock" // the longest of the sockets' names

// maxStateDir leaves room for "/<64>/console.sock" in a socket's address.
const maxStateDir = 107 - 1 - 64 - 1 - len(consoleSocket)

// defaultUIDBase is above systemd's and below the sign bit: nobody allocates there.
const defaultUIDBase = 0x7000_0000

// Config says how a Host runs its VMs.
type Config struct {
	// Kernel is the guest's kernel: an ELF vmlinux with a PVH note (boots
	// faster) or a bzImage.
	Kernel string
	// Initrd is the guest's initial root, with the agent as its init.
	Initrd string
	// StateDir has one directory per VM; "" is DefaultStateDir. At most 30
	// bytes, for sockets are below it.
	StateDir string
	// QEMUBinary is a path or a name in PATH; "" is qemu-system-x86_64.
	QEMUBinary string
	// DefaultMemory is a VM's memory in bytes when its Config asks for none; 0 is 256 MiB.
	DefaultMemory uint64
	// MaxMemory is how far Resize can grow a VM, in bytes; 0 is the host's
	// memory; no more than DefaultMemory turns growing off.
	MaxMemory uint64
	// UIDBase is the first of the user ids that QEMU processes run as, one per
	// VM; 0 is 0x70000000.
	UIDBase uint32
	// RunAsRoot leaves QEMU with the daemon's user, for hosts whose /dev/kvm
	// nobody else may open.
	RunAsRoot bool
	// ExtraKernelArgs is appended to the guest's command line.
	ExtraKernelArgs string
	// ForceTCG skips the probe and does without KVM.
	ForceTCG bool
	// NoTemplates has every VM boot, rather than continue from a booted one's
	// memory; see docs/security.md for what clones share.
	NoTemplates bool
	// TemplateDir keeps templates for the next process; "" keeps none.
	TemplateDir string
}

func (c Config) withDefaults() (Config, error) {
	if c.StateDir == "" {
		c.StateDir = DefaultStateDir
	}
	if c.QEMUBinary == "" {
		c.QEMUBinary = "qemu-system-x86_64"
	}
	if c.DefaultMemory == 0 {
		c.DefaultMemory = 256 * mib
	}
	if c.UIDBase == 0 {
		c.UIDBase = defaultUIDBase
	}
	for _, p := range []string{c.Kernel, c.Initrd, c.StateDir} {
		if !filepath.IsAbs(p) {
			return c, fmt.Errorf("qemu: path %q is not absolute: %w", p, vm.ErrInvalid)
		}
	}
	if len(c.StateDir) > maxStateDir {
		return c, fmt.Errorf("qemu: state directory %s: more than %d bytes, too long for the sockets below it: %w", c.StateDir, maxStateDir, vm.ErrInvalid)
	}
	if c.DefaultMemory < vm.MinMemory || c.DefaultMemory > vm.MaxMemory {
		return c, errors.Join(fmt.Errorf("qemu: default memory of %d bytes", c.DefaultMemory), vm.ErrInvalid)
	}
	return c, nil
}
