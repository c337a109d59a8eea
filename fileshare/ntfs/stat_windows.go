package ntfs

import (
	"encoding/binary"

	"golang.org/x/sys/windows"

	"github.com/paddock-run/paddock/fileshare/wire"
)

// stat tells all of an open file.
func (fs *FS) stat(h windows.Handle) (Stat, error) {
	b := make([]byte, statSize)
	if !fs.noStatLx.Load() {
		s := queryInfo(h, fileStatLxInformation, b)
		if !isUnknown(s) {
			if err := s.Err(); err != nil {
				return Stat{}, err
			}
			return DecodeStat(b, fs.defaults)
		}
		fs.noStatLx.Store(true) // before Windows 10 1803, other file systems than NTFS, Wine
	}
	if err := fs.statByParts(h, b); err != nil {
		return Stat{}, err
	}
	return DecodeStat(b, fs.defaults)
}

// statByParts makes FILE_STAT_LX_INFORMATION of the classes that every Windows has.
func (fs *FS) statByParts(h windows.Handle, b []byte) error {
	basic, standard, internal := make([]byte, 40), make([]byte, 24), make([]byte, 8)
	for _, part := range []struct {
		class uint32
		b     []byte
	}{
		{windows.FileBasicInformation, basic}, {fileStandardInformation, standard},
		{fileInternalInformation, internal},
	} {
		if err := queryInfo(h, part.class, part.b).Err(); err != nil {
			return err
		}
	}
	copy(b[0:8], internal)
	copy(b[8:40], basic)
	copy(b[40:56], standard)
	attributes, tag, err := attributeTag(h)
	if err != nil {
		return err
	}
	binary.LittleEndian.PutUint32(b[56:], attributes)
	binary.LittleEndian.PutUint32(b[60:], uint32(tag))
	copy(b[64:68], standard[16:20])
	if !fs.hasEAs {
		return nil
	}
	eas, err := queryEAs(h)
	if err != nil {
		return nil // no right to read them: as if there were none
	}
	m, err := DecodeMetadata(eas)
	if err != nil {
		return err
	}
	flags := uint32(0)
	for _, f := range []struct {
		bit   uint32
		at    int
		value *uint32
	}{{hasUID, 76, m.UID}, {hasGID, 80, m.GID}, {hasMode, 84, m.Mode}} {
		if f.value != nil {
			flags |= f.bit
			binary.LittleEndian.PutUint32(b[f.at:], *f.value)
		}
	}
	if m.Device != nil {
		flags |= hasDevice
		binary.LittleEndian.PutUint32(b[88:], m.Device.Major)
		binary.LittleEndian.PutUint32(b[92:], m.Device.Minor)
	}
	binary.LittleEndian.PutUint32(b[72:], flags)
	return nil
}

// isPlainDir tells whether an open file is a directory, and no link of any kind.
func isPlainDir(h windows.Handle) bool {
	attributes, _, err := attributeTag(h)
	return err == nil && attributes&attributeDirectory != 0 && attributes&attributeReparse == 0
}

func wireTime(t int64, nsec int) wire.Time { return wire.Time{Sec: t, Nsec: uint32(nsec)} }

// attr is a file's attributes as the guest gets them.
func attr(s *Stat) wire.Attr {
	return wire.Attr{
		Ino: s.FileID, Size: s.Size, Blocks: (s.Allocated + 511) / 512,
		Access: wireTime(s.Access.Unix(), s.Access.Nanosecond()),
		Modify: wireTime(s.Modify.Unix(), s.Modify.Nanosecond()),
		Change: wireTime(s.Change.Unix(), s.Change.Nanosecond()),
		Mode:   s.Mode, Links: s.Links, UID: s.UID, GID: s.GID,
		Device: s.Device.Minor&0xff | s.Device.Major<<8 | (s.Device.Minor&^0xff)<<12,
		Unit:   4096,
	}
}
