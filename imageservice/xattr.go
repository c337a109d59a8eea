package imageservice

import (
	"archive/tar"
	"encoding/binary"
	"strings"
)

// paxXattr is the prefix of extended attributes in a tar's PAX records.
const paxXattr = "SCHILY.xattr."

// maxXattrBytes is what fits an ext4 inode's attribute block.
const maxXattrBytes = 3900

// xattrRecords returns an entry's extended attributes as they belong on an ext4
// disk. Those that steer overlayfs are the runtime's, not an image's: they are left out.
func xattrRecords(hdr *tar.Header) (map[string]string, error) {
	var out map[string]string
	for key, value := range hdr.PAXRecords {
		name, ok := strings.CutPrefix(key, paxXattr)
		if !ok || !keepXattr(name) {
			continue
		}
		if len(name) > 255 || len(name)+len(value) > maxXattrBytes {
			return nil, corrupt("%q: extended attribute %.64q is too long for ext4", hdr.Name, name)
		}
		if strings.HasPrefix(name, "system.posix_acl_") {
			acl, ok := diskACL(value)
			if !ok {
				return nil, corrupt("%q: %s cannot be read", hdr.Name, name)
			}
			value = acl
		}
		if out == nil {
			out = map[string]string{}
		}
		out[key] = value
	}
	return out, nil
}

func keepXattr(name string) bool {
	switch {
	case strings.HasPrefix(name, "trusted.overlay."), strings.HasPrefix(name, "user.overlay."):
		return false
	case name == "system.posix_acl_access", name == "system.posix_acl_default":
		return true
	}
	space, rest, _ := strings.Cut(name, ".")
	return rest != "" && (space == "user" || space == "trusted" || space == "security")
}

// diskACL converts a POSIX ACL from the form that programs see (version 2, every
// entry with an id) to ext4's on disk (version 1, ids only where they mean something).
func diskACL(v string) (string, bool) {
	const version, header, size = 2, 4, 8
	b := []byte(v)
	if len(b) < header || (len(b)-header)%size != 0 || binary.LittleEndian.Uint32(b) != version {
		return "", false
	}
	out := binary.LittleEndian.AppendUint32(nil, 1)
	for e := b[header:]; len(e) > 0; e = e[size:] {
		switch binary.LittleEndian.Uint16(e) {
		case 0x02, 0x08: // a named user, a named group
			out = append(out, e[:size]...)
		case 0x01, 0x04, 0x10, 0x20: // owner, owning group, mask, others
			out = append(out, e[:4]...)
		default:
			return "", false
		}
	}
	return string(out), true
}
