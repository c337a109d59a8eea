package ntfs

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"
)

// statBuffer is FILE_STAT_LX_INFORMATION with these fields.
func statBuffer(attributes uint32, tag Tag, flags, mode uint32) []byte {
	b := make([]byte, statSize)
	for i, v := range []uint64{77, 1, 2, 133497504000000000, 4, 8192, 5000} {
		binary.LittleEndian.PutUint64(b[8*i:], v)
	}
	for i, v := range []uint32{attributes, uint32(tag), 3, 0, flags, 1000, 2000, mode, 8, 1} {
		binary.LittleEndian.PutUint32(b[56+4*i:], v)
	}
	return b
}

func TestStat(t *testing.T) {
	d := Defaults{UID: 1, GID: 2, Umask: 0o022}
	s, err := DecodeStat(statBuffer(0, 0, hasUID|hasGID|hasMode|hasDevice, 0o106755), d)
	if err != nil || s.FileID != 77 || s.Links != 3 || s.UID != 1000 || s.GID != 2000 || s.Mode != 0o106755 || s.Size != 5000 ||
		s.Allocated != 8192 || s.Device != (Device{8, 1}) || !s.Modify.Equal(time.Date(2024, 1, 15, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v, %v", s, err)
	}
	for _, tc := range []struct {
		name        string
		attributes  uint32
		tag         Tag
		flags, mode uint32
		want        uint32
	}{
		{"a file of Windows", 0, 0, 0, 0, typeRegular | 0o755},
		{"read-only", attributeReadOnly, 0, 0, 0, typeRegular | 0o555},
		{"a folder", attributeDirectory | attributeReadOnly, 0, 0, 0, typeDir | 0o755},
		{"a folder that says it is a file", attributeDirectory, 0, hasMode, typeRegular | 0o640, typeDir | 0o640},
		{"a file that says it is a device", 0, 0, hasMode, typeChar | 0o666, typeRegular | 0o666},
		{"a device", attributeReparse, TagLXChar, hasMode, typeChar | 0o600, typeChar | 0o600},
		{"a link", attributeReparse, TagLXSymlink, hasMode, typeSymlink | 0o600, typeSymlink | 0o777},
		{"a tag without its attribute", 0, TagLXChar, 0, 0, typeRegular | 0o755},
		{"a tag that means nothing", attributeReparse, 0x9000001A, 0, 0, typeRegular | 0o755},
	} {
		if s, err := DecodeStat(statBuffer(tc.attributes, tc.tag, tc.flags, tc.mode), d); err != nil || s.Mode != tc.want {
			t.Errorf("%s: %o, %v; want %o", tc.name, s.Mode, err, tc.want)
		}
	}
	if _, err := DecodeStat(make([]byte, statSize-1), d); !errors.Is(err, EIO) {
		t.Error(err)
	}
}

func TestTimes(t *testing.T) {
	for _, tm := range []time.Time{time.Unix(0, 0), time.Unix(-1, 999999900), time.Date(2026, 11, 27, 1, 2, 3, 400, time.UTC), time.Date(1601, 1, 1, 0, 0, 0, 100, time.UTC)} {
		if got := fileTime(FileTime(tm)); !got.Equal(tm.Truncate(100)) {
			t.Errorf("%v came back as %v", tm, got)
		}
	}
	if FileTime(time.Date(1500, 1, 1, 0, 0, 0, 0, time.UTC)) != 1 || FileTime(time.Date(40000, 1, 1, 0, 0, 0, 0, time.UTC)) != 1<<63-1 {
		t.Error("times that Windows cannot hold")
	}
}

func TestStatus(t *testing.T) {
	for status, want := range map[Status]error{
		0: nil, 0x00000103: nil, 0x80000006: nil, // pending; no more files, a warning
		0xC0000034: ENOENT, 0xC0000101: ENOTEMPTY, 0xC0000022: EACCES, 0xC0DEDEAD: EIO,
	} {
		if err := status.Err(); !errors.Is(err, want) {
			t.Errorf("%#x: %v, want %v", uint32(status), err, want)
		}
	}
}
