package ntfs

import (
	"encoding/binary"
	"strings"
	"unicode/utf16"
)

// change is one of Windows' (FILE_NOTIFY_INFORMATION): path is below the root.
type change struct {
	action uint32
	path   []string
}

// parseChanges reads a list; what is no path of names that Linux can have is left out.
func parseChanges(b []byte) (all []change) {
	const fixed = 12
	for len(b) >= fixed {
		next, action, size := int(binary.LittleEndian.Uint32(b)), binary.LittleEndian.Uint32(b[4:]), int(binary.LittleEndian.Uint32(b[8:]))
		if size > len(b)-fixed || size%2 != 0 {
			return all
		}
		units := make([]uint16, size/2)
		for i := range units {
			units[i] = binary.LittleEndian.Uint16(b[fixed+2*i:])
		}
		if path, ok := decodePath(units); ok {
			all = append(all, change{action, path})
		}
		if next < fixed || next > len(b) {
			return all
		}
		b = b[next:]
	}
	return all
}

func decodePath(units []uint16) (path []string, ok bool) {
	for component := range strings.SplitSeq(string(utf16.Decode(units)), `\`) {
		name, ok := DecodeName(utf16.Encode([]rune(component)))
		if !ok {
			return nil, false
		}
		path = append(path, name)
	}
	return path, true
}
