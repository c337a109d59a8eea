package ntfs

import (
	"encoding/binary"
	"strings"
)

// ea is an extended attribute of NTFS.
type ea struct {
	name  string
	value []byte
}

const (
	eaFixed     = 8 // of FILE_FULL_EA_INFORMATION, before the name
	maxEAName   = 254
	maxEAValue  = 1<<16 - 1
	maxEAParsed = 4096 // attributes of one file that are looked at
)

// encodeEAs makes a list of FILE_FULL_EA_INFORMATION, each at a multiple of four bytes.
func encodeEAs(all []ea) []byte {
	var out []byte
	for i, a := range all {
		start := len(out)
		out = binary.LittleEndian.AppendUint32(out, 0)
		out = append(out, 0, byte(len(a.name)))
		out = binary.LittleEndian.AppendUint16(out, uint16(len(a.value)))
		out = append(append(out, a.name...), 0)
		out = append(out, a.value...)
		for len(out)%4 != 0 {
			out = append(out, 0)
		}
		if i < len(all)-1 {
			binary.LittleEndian.PutUint32(out[start:], uint32(len(out)-start))
		}
	}
	return out
}

// decodeEAs is its inverse; EIO for what NTFS does not give.
func decodeEAs(b []byte) (all []ea, err error) {
	for len(b) > 0 && len(all) < maxEAParsed {
		if len(b) < eaFixed {
			return nil, EIO
		}
		next := int64(binary.LittleEndian.Uint32(b))
		nameLen, valueLen := int(b[5]), int(binary.LittleEndian.Uint16(b[6:]))
		end := eaFixed + nameLen + 1 + valueLen
		if nameLen == 0 || end > len(b) || b[eaFixed+nameLen] != 0 {
			return nil, EIO
		}
		all = append(all, ea{string(b[eaFixed : eaFixed+nameLen]), b[eaFixed+nameLen+1 : end]})
		if next == 0 {
			return all, nil
		}
		if next < int64(end) || next > int64(len(b)) {
			return nil, EIO
		}
		b = b[next:]
	}
	return all, nil
}

// sameEA compares names as NTFS does, which keeps them in capitals.
func sameEA(a, b string) bool { return strings.EqualFold(a, b) }
