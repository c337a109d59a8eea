package ntfs

import (
	"encoding/binary"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Tag tells what a reparse point is.
type Tag uint32

// Tags that mean something to Linux.
const (
	TagMountPoint Tag = 0xA0000003 // a junction
	TagSymlink    Tag = 0xA000000C // Windows' own link
	TagLXSymlink  Tag = 0xA000001D
	TagUnix       Tag = 0x80000023 // a socket
	TagLXFIFO     Tag = 0x80000024
	TagLXChar     Tag = 0x80000025
	TagLXBlock    Tag = 0x80000026
)

// Linux' types of files.
const (
	typeMask    = 0o170000
	typeFIFO    = 0o010000
	typeChar    = 0o020000
	typeDir     = 0o040000
	typeBlock   = 0o060000
	typeRegular = 0o100000
	typeSymlink = 0o120000
	typeSocket  = 0o140000
)

var tagTypes = map[Tag]uint32{
	TagMountPoint: typeSymlink, TagSymlink: typeSymlink, TagLXSymlink: typeSymlink,
	TagUnix: typeSocket, TagLXFIFO: typeFIFO, TagLXChar: typeChar, TagLXBlock: typeBlock,
}

const (
	reparseHeader  = 8 // of REPARSE_DATA_BUFFER
	lxLinkVersion  = 2
	maxLinkText    = 4095
	linkIsRelative = 1 // SYMLINK_FLAG_RELATIVE
)

// EncodeReparse makes the buffer of a link with this text, or of another special
// file by its type; its metadata are set besides. EINVAL for ordinary files.
func EncodeReparse(mode uint32, text string) ([]byte, error) {
	var data []byte
	var tag Tag
	switch mode & typeMask {
	case typeSymlink:
		switch {
		case text == "":
			return nil, ENOENT
		case len(text) > maxLinkText:
			return nil, ENAMETOOLONG
		}
		tag = TagLXSymlink
		data = append(binary.LittleEndian.AppendUint32(nil, lxLinkVersion), text...)
	case typeFIFO:
		tag = TagLXFIFO
	case typeSocket:
		tag = TagUnix
	case typeChar:
		tag = TagLXChar
	case typeBlock:
		tag = TagLXBlock
	default:
		return nil, EINVAL
	}
	out := binary.LittleEndian.AppendUint32(nil, uint32(tag))
	out = binary.LittleEndian.AppendUint16(out, uint16(len(data)))
	out = binary.LittleEndian.AppendUint16(out, 0)
	return append(out, data...), nil
}

// DecodeLink reads a link's text from its buffer, WSL's or Windows'. The text is
// for the guest to follow, in its own tree. EINVAL: it is no link. EIO: a link that cannot be
// told in Linux' words, such as one to another drive.
func DecodeLink(b []byte) (string, error) {
	if len(b) < reparseHeader {
		return "", EIO
	}
	tag, data := Tag(binary.LittleEndian.Uint32(b)), b[reparseHeader:]
	size := int(binary.LittleEndian.Uint16(b[4:]))
	if size > len(data) {
		return "", EIO
	}
	data = data[:size]
	switch tag {
	case TagLXSymlink:
		if len(data) < 4 || binary.LittleEndian.Uint32(data) != lxLinkVersion {
			return "", EIO
		}
		return checkLink(string(data[4:]))
	case TagSymlink:
		return decodeWindowsLink(data)
	case TagMountPoint: // always to a drive of the host's
		return "", EIO
	}
	return "", EINVAL
}

func checkLink(text string) (string, error) {
	if text == "" || len(text) > maxLinkText || strings.ContainsRune(text, 0) || !utf8.ValidString(text) {
		return "", EIO
	}
	return text, nil
}

// decodeWindowsLink reads a relative link of Windows' (SymbolicLinkReparseBuffer).
func decodeWindowsLink(data []byte) (string, error) {
	const fixed = 12
	if len(data) < fixed || binary.LittleEndian.Uint32(data[8:])&linkIsRelative == 0 {
		return "", EIO
	}
	offset, size := int(binary.LittleEndian.Uint16(data)), int(binary.LittleEndian.Uint16(data[2:]))
	names := data[fixed:]
	if size%2 != 0 || offset+size > len(names) {
		return "", EIO
	}
	units := make([]uint16, size/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(names[offset+2*i:])
	}
	return checkLink(strings.ReplaceAll(string(utf16.Decode(units)), `\`, "/"))
}
