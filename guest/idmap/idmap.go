// Package idmap holds the id mapping of a user namespace, as the pod's kernel
// and the host's share servers apply it.
package idmap

import "fmt"

// None is the id that stands for no user and no group in Linux: uid_t's highest
// value. A kernel shows a file of such an owner as the overflow id, 65534.
const None = ^uint32(0)

// MinSize is the least size of a mapping that a container can be made with: its
// terminals belong to the group of id 5.
const MinSize = 6

// Range maps the ids [Container, Container+Size) inside to [Host, Host+Size)
// outside, users and groups alike. In the pod's kernel "outside" is the initial
// user namespace of that kernel; for a file shown through a mapped mount
// "inside" is what is stored on its disk.
type Range struct {
	Container, Host, Size uint32
}

// Check tells why a range cannot be a user namespace's; nil if it can.
func (r Range) Check() error {
	switch {
	case r.Container != 0:
		return fmt.Errorf("container id %d: a mapping must begin at id 0 of the container, its root", r.Container)
	case r.Size < MinSize:
		return fmt.Errorf("length %d: a mapping must have at least %d ids", r.Size, MinSize)
	case uint64(r.Host)+uint64(r.Size) > uint64(None):
		return fmt.Errorf("host id %d and length %d: they exceed the highest id, %d", r.Host, r.Size, None-1)
	}
	return nil
}

// Equal compares two mappings, either of which may be none.
func Equal(a, b *Range) bool { return a == b || a != nil && b != nil && *a == *b }

// ToHost is the id outside of one inside; None and false for an id without one.
func (r Range) ToHost(id uint32) (uint32, bool) {
	if id < r.Container || id-r.Container >= r.Size {
		return None, false
	}
	return r.Host + (id - r.Container), true
}

// FromHost is the id inside of one outside; None and false for an id without one.
func (r Range) FromHost(id uint32) (uint32, bool) {
	if id < r.Host || id-r.Host >= r.Size {
		return None, false
	}
	return r.Container + (id - r.Host), true
}
