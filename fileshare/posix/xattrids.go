//go:build linux

package posix

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/guest/idmap"
)

// Two kinds of extended attributes hold ids: ACLs (linux/posix_acl_xattr.h) and
// file capabilities (linux/capability.h). A mapped file system translates them.

const (
	aclAccess  = "system.posix_acl_access"
	aclDefault = "system.posix_acl_default"
	fileCaps   = "security.capability"

	aclHeader, aclEntry = 4, 8
	aclUser, aclGroup   = 0x02, 0x08

	capsRevision    = 0xff000000
	capsV2, capsV3  = 0x02000000, 0x03000000
	capsV2Size      = 20
	capsV3Size      = 24 // with the id of the root they count for
	maxMappedXattr  = 64 << 10
	capsRootIDStart = capsV2Size
)

func hasIDs(name string) bool { return name == aclAccess || name == aclDefault || name == fileCaps }

// getMapped reads an attribute that holds ids as the client has them. As with
// getxattr(2) an empty dest asks for the size.
func (fs *FS) getMapped(n *inode, name string, dest []byte) (int, error) {
	value := make([]byte, maxMappedXattr)
	size, err := unix.Getxattr(fs.path(n.fd), name, value)
	if err != nil {
		return 0, err
	}
	value = value[:size]
	if name == fileCaps {
		value, err = capsToClient(value, *fs.ids)
	} else {
		value, err = aclToClient(value, *fs.ids)
	}
	switch {
	case err != nil:
		return 0, err
	case len(dest) == 0:
		return len(value), nil
	case len(value) > len(dest):
		return 0, unix.ERANGE
	}
	return copy(dest, value), nil
}

// valueFromClient is an attribute's value as the tree has it.
func (fs *FS) valueFromClient(name string, value []byte) ([]byte, error) {
	switch {
	case fs.ids == nil || !hasIDs(name):
		return value, nil
	case name == fileCaps:
		return capsFromClient(value, *fs.ids)
	}
	return aclFromClient(value, *fs.ids)
}

// aclToClient leaves out the entries for ids that are not mapped: they give
// nobody a right whom the client knows, and its kernel takes no ACL with an invalid id.
func aclToClient(value []byte, ids idmap.Range) ([]byte, error) {
	return mapACL(value, func(id uint32) (uint32, bool, error) {
		id, ok := ids.ToHost(id)
		return id, ok, nil
	})
}

// aclFromClient refuses an entry for an id that is not mapped.
func aclFromClient(value []byte, ids idmap.Range) ([]byte, error) {
	return mapACL(value, func(id uint32) (uint32, bool, error) {
		id, ok := ids.FromHost(id)
		if !ok {
			return id, false, unix.EINVAL
		}
		return id, true, nil
	})
}

func mapACL(value []byte, id func(uint32) (mapped uint32, keep bool, err error)) ([]byte, error) {
	if len(value) == 0 {
		return value, nil
	}
	if len(value) < aclHeader || (len(value)-aclHeader)%aclEntry != 0 {
		return nil, unix.EINVAL
	}
	out := append([]byte(nil), value[:aclHeader]...)
	for rest := value[aclHeader:]; len(rest) > 0; rest = rest[aclEntry:] {
		entry := append([]byte(nil), rest[:aclEntry]...)
		if tag := binary.LittleEndian.Uint16(entry); tag == aclUser || tag == aclGroup {
			mapped, keep, err := id(binary.LittleEndian.Uint32(entry[4:]))
			if err != nil {
				return nil, err
			}
			if !keep {
				continue
			}
			binary.LittleEndian.PutUint32(entry[4:], mapped)
		}
		out = append(out, entry...)
	}
	return out, nil
}

// capsToClient says which root the capabilities count for, which the older
// form, that of the tree's root, leaves out. ENODATA: for one that the client does not have.
func capsToClient(value []byte, ids idmap.Range) ([]byte, error) {
	root, ok := capsRoot(value)
	if !ok {
		return value, nil
	}
	if root, ok = ids.ToHost(root); !ok {
		return nil, unix.ENODATA
	}
	return capsOf(value, root), nil
}

// capsFromClient is capsToClient turned around. EINVAL: for a root that the tree does not have.
func capsFromClient(value []byte, ids idmap.Range) ([]byte, error) {
	root, ok := capsRoot(value)
	if !ok {
		return nil, unix.EINVAL
	}
	if root, ok = ids.FromHost(root); !ok {
		return nil, unix.EINVAL
	}
	return capsOf(value, root), nil
}

// capsRoot is the id of the root that capabilities count for; false for a form that says nothing about it.
func capsRoot(value []byte) (uint32, bool) {
	if len(value) < capsV2Size {
		return 0, false
	}
	switch revision := binary.LittleEndian.Uint32(value) & capsRevision; {
	case revision == capsV2 && len(value) == capsV2Size:
		return 0, true
	case revision == capsV3 && len(value) == capsV3Size:
		return binary.LittleEndian.Uint32(value[capsRootIDStart:]), true
	}
	return 0, false
}

func capsOf(value []byte, root uint32) []byte {
	out := make([]byte, capsV3Size)
	copy(out, value[:capsV2Size])
	flags := binary.LittleEndian.Uint32(value) &^ uint32(capsRevision)
	binary.LittleEndian.PutUint32(out, flags|capsV3)
	binary.LittleEndian.PutUint32(out[capsRootIDStart:], root)
	return out
}
