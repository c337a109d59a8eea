package vm

import (
	"fmt"
	"path/filepath"
	"regexp"

	"github.com/paddock-run/paddock/guest"
)

var (
	vmID  = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)
	nicID = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)
)

// Bounds of a VM's size.
const (
	// MinMemory is the least memory a guest boots with, in bytes.
	MinMemory = 64 << 20
	// MaxMemory is far above any host, and keeps sums of sizes from overflowing.
	MaxMemory = 1 << 44
	// MaxCPUs is the most virtual processors a VM may ask for.
	MaxCPUs = 255
)

// ValidateID tells whether id can name a VM; the error is ErrInvalid.
func ValidateID(id string) error {
	if !vmID.MatchString(id) {
		return fmt.Errorf("VM id %q: want 1 to 64 characters of [a-z0-9-]: %w", id, ErrInvalid)
	}
	return nil
}

// Validate tells whether the Config can ever work; the error is ErrInvalid.
func (c Config) Validate() error {
	if err := ValidateID(c.ID); err != nil {
		return err
	}
	if c.GuestOS != guest.Linux && c.GuestOS != guest.Windows {
		return fmt.Errorf("VM %s: unknown guest OS %v: %w", c.ID, c.GuestOS, ErrInvalid)
	}
	if m := c.Resources.MemoryBytes; m != 0 && (m < MinMemory || m > MaxMemory) {
		return fmt.Errorf("VM %s: memory of %d bytes: want 0 (the host's default) or %d to %d: %w", c.ID, m, MinMemory, uint64(MaxMemory), ErrInvalid)
	}
	if c.Resources.CPUs > MaxCPUs {
		return fmt.Errorf("VM %s: %d CPUs: want at most %d: %w", c.ID, c.Resources.CPUs, MaxCPUs, ErrInvalid)
	}
	return nil
}

// Validate tells whether the Disk can ever be attached; the error is ErrInvalid.
func (d Disk) Validate() error {
	if !filepath.IsAbs(d.Path) || filepath.Clean(d.Path) != d.Path {
		return fmt.Errorf("disk path %q: want a clean absolute path: %w", d.Path, ErrInvalid)
	}
	if d.Content > FileContent {
		return fmt.Errorf("disk path %q: unknown content %d: %w", d.Path, d.Content, ErrInvalid)
	}
	return nil
}

// Validate tells whether the NIC can ever be attached; the error is ErrInvalid.
func (n NIC) Validate() error {
	if !nicID.MatchString(n.ID) {
		return fmt.Errorf("NIC id %q: want 1 to 32 characters of [a-z0-9-]: %w", n.ID, ErrInvalid)
	}
	if len(n.MAC) != 6 || n.MAC[0]&1 != 0 {
		return fmt.Errorf("NIC %s: hardware address %q: want a unicast Ethernet address: %w", n.ID, n.MAC, ErrInvalid)
	}
	if n.Endpoint == nil {
		return fmt.Errorf("NIC %s: no endpoint: %w", n.ID, ErrInvalid)
	}
	return nil
}
