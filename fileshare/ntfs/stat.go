package ntfs

import (
	"encoding/binary"
	"time"
)

// statSize is the size of FILE_STAT_LX_INFORMATION.
const statSize = 96

// What LxFlags say is there.
const (
	hasUID    = 0x1
	hasGID    = 0x2
	hasMode   = 0x4
	hasDevice = 0x8
)

// Attributes of Windows.
const (
	attributeReadOnly  = 0x1
	attributeDirectory = 0x10
	attributeReparse   = 0x400
)

// Defaults are the metadata of files that have none: made by Windows' programs.
type Defaults struct {
	UID, GID uint32
	// Umask is taken from 0777.
	Umask uint32
}

// Stat is what Linux' stat tells.
type Stat struct {
	FileID                uint64 // the inode number
	Mode, Links, UID, GID uint32
	Device                Device
	Size, Allocated       uint64
	Access, Modify        time.Time
	Change, Birth         time.Time
	Tag                   Tag
	// Attributes are Windows'.
	Attributes uint32
}

// DecodeStat reads FILE_STAT_LX_INFORMATION.
func DecodeStat(b []byte, d Defaults) (s Stat, err error) {
	if len(b) < statSize {
		return s, EIO
	}
	u64 := func(at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }
	u32 := func(at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
	s = Stat{
		FileID: u64(0), Birth: fileTime(u64(8)), Access: fileTime(u64(16)), Modify: fileTime(u64(24)), Change: fileTime(u64(32)),
		Allocated: u64(40), Size: u64(48), Links: max(u32(64), 1), UID: d.UID, GID: d.GID,
	}
	attributes, flags := u32(56), u32(72)
	s.Attributes = attributes
	if attributes&attributeReparse != 0 {
		s.Tag = Tag(u32(60))
	}
	if flags&hasUID != 0 {
		s.UID = u32(76)
	}
	if flags&hasGID != 0 {
		s.GID = u32(80)
	}
	if flags&hasDevice != 0 {
		s.Device = Device{u32(88), u32(92)}
	}
	s.Mode = mode(attributes, s.Tag, flags&hasMode != 0, u32(84), d.Umask)
	return s, nil
}

// mode is a file's. Its type is what NTFS has it as: a stored one that says
// otherwise would have a folder opened as a file.
func mode(attributes uint32, tag Tag, stored bool, value, umask uint32) uint32 {
	kind := uint32(typeRegular)
	if attributes&attributeDirectory != 0 {
		kind = typeDir
	}
	if special, ok := tagTypes[tag]; ok {
		kind = special
	}
	switch {
	case kind == typeSymlink:
		return kind | 0o777
	case stored:
		return kind | value&0o7777
	}
	permissions := 0o777 &^ umask
	if attributes&attributeReadOnly != 0 && kind == typeRegular {
		permissions &^= 0o222
	}
	return kind | permissions
}

// epoch is 1601, in units of 100 ns before 1970.
const epoch = 116444736000000000

// fileTime is a time of Windows'.
func fileTime(t uint64) time.Time {
	ticks := int64(t) - epoch
	const second = 10_000_000
	return time.Unix(ticks/second, ticks%second*100).UTC()
}

// FileTime is Windows' time; what it cannot hold is the nearest that it can. 0
// would mean "leave as it is".
func FileTime(t time.Time) uint64 {
	const second, last = 10_000_000, 1<<63 - 1
	seconds := t.Unix()
	switch {
	case seconds < -epoch/second:
		return 1
	case seconds >= (last-epoch)/second:
		return last
	}
	return uint64(max(seconds*second+int64(t.Nanosecond())/100+epoch, 1))
}
