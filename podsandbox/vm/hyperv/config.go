package hyperv

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"github.com/paddock-run/paddock/podsandbox/vm"
)

// Config says how a Host runs its VMs.
type Config struct {
	// Kernel is the guest's kernel, an ELF vmlinux, and Initrd its initial root.
	Kernel, Initrd string
	// StateDir has one folder per VM, on a disk that outlives reboots: access that
	// was granted has to be revoked after one.
	StateDir string
	// DefaultMemory is a VM's memory in bytes when its Config asks for none; 0 is 256 MiB.
	DefaultMemory uint64
	// ExtraKernelArgs is appended to the guest's command line.
	ExtraKernelArgs string
	// EndpointMAC tells the hardware address of an endpoint of the Host Compute
	// Network. Nil: VMs cannot be made with an endpoint, only be given one later.
	EndpointMAC func(ctx context.Context, endpoint string) (net.HardwareAddr, error)
	// UtilityVM finds the folder UtilityVM of a Windows image's base layer, from which
	// Windows VMs boot: in it are Files and SystemTemplate.vhdx. Nil: this host has no
	// Windows VMs.
	UtilityVM func(ctx context.Context) (string, error)
	// Endpoint describes an endpoint for the guest that is to have it. Nil: Windows
	// VMs cannot be given any.
	Endpoint func(ctx context.Context, endpoint string) (GuestEndpoint, error)
	// RedialTime is how long the guest service of a Windows VM may take to dial again
	// when its connection has ended; then the VM is ended. 0: a minute.
	RedialTime time.Duration
}

// GuestEndpoint is what a Windows guest is told of an endpoint of the Host Compute
// Network: its document, and that of the namespace that it is in.
type GuestEndpoint struct {
	NamespaceID         string
	Namespace, Endpoint any
}

func (c Config) withDefaults() (Config, error) {
	if c.RedialTime == 0 {
		c.RedialTime = time.Minute
	}
	if c.DefaultMemory == 0 {
		c.DefaultMemory = 256 * mib
	}
	for _, p := range []string{c.Kernel, c.Initrd, c.StateDir} {
		if !filepath.IsAbs(p) {
			return c, fmt.Errorf("hyperv: path %q is not absolute: %w", p, vm.ErrInvalid)
		}
	}
	if c.DefaultMemory < vm.MinMemory || c.DefaultMemory > vm.MaxMemory {
		return c, fmt.Errorf("hyperv: default memory of %d bytes: %w", c.DefaultMemory, vm.ErrInvalid)
	}
	return c, nil
}
