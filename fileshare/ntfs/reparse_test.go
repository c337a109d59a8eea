package ntfs

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"unicode/utf16"
)

func TestReparse(t *testing.T) {
	b, err := EncodeReparse(typeSymlink, "../target")
	if want := "1d0000a0" + "0d00" + "0000" + "02000000" + hex.EncodeToString([]byte("../target")); err != nil || hex.EncodeToString(b) != want {
		t.Errorf("a link is %x, %v; want %s", b, err, want)
	}
	if text, err := DecodeLink(b); err != nil || text != "../target" {
		t.Errorf("%q, %v", text, err)
	}
	for mode, want := range map[uint32]string{
		typeFIFO | 0o644: "240000800000" + "0000", typeSocket: "230000800000" + "0000",
		typeChar: "250000800000" + "0000", typeBlock: "260000800000" + "0000",
	} {
		b, err := EncodeReparse(mode, "")
		if err != nil || hex.EncodeToString(b) != want {
			t.Errorf("type %o is %x, %v; want %s", mode, b, err, want)
		}
		if _, err := DecodeLink(b); !errors.Is(err, EINVAL) {
			t.Errorf("type %o read as a link: %v", mode, err)
		}
	}
	for _, tc := range []struct {
		mode uint32
		text string
		want error
	}{{typeRegular, "", EINVAL}, {typeDir, "", EINVAL}, {typeSymlink, "", ENOENT}, {typeSymlink, strings.Repeat("a", 4096), ENAMETOOLONG}} {
		if _, err := EncodeReparse(tc.mode, tc.text); !errors.Is(err, tc.want) {
			t.Errorf("%o %.5q: %v, want %v", tc.mode, tc.text, err, tc.want)
		}
	}
}

// windowsLink is a link as mklink makes it.
func windowsLink(target string, flags uint32) []byte {
	units := utf16.Encode([]rune(target))
	name := make([]byte, 2*len(units))
	for i, u := range units {
		binary.LittleEndian.PutUint16(name[2*i:], u)
	}
	data := make([]byte, 12)
	binary.LittleEndian.PutUint16(data[2:], uint16(len(name)))
	binary.LittleEndian.PutUint32(data[8:], flags)
	data = append(data, name...)
	b := binary.LittleEndian.AppendUint32(nil, uint32(TagSymlink))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
	return append(b, data...)
}

func TestWindowsLinks(t *testing.T) {
	if text, err := DecodeLink(windowsLink(`..\some\file`, linkIsRelative)); err != nil || text != "../some/file" {
		t.Errorf("%q, %v", text, err)
	}
	for name, b := range map[string][]byte{
		"to a drive":       windowsLink(`\??\C:\Windows`, 0),
		"a junction":       append(binary.LittleEndian.AppendUint32(nil, uint32(TagMountPoint)), 0, 0, 0, 0),
		"cut off":          windowsLink(`..\some\file`, linkIsRelative)[:20],
		"empty":            nil,
		"of another form":  {0x1d, 0, 0, 0xa0, 4, 0, 0, 0, 3, 0, 0, 0},
		"a text with NUL":  {0x1d, 0, 0, 0xa0, 6, 0, 0, 0, 2, 0, 0, 0, 'a', 0},
		"longer than told": {0x1d, 0, 0, 0xa0, 200, 0, 0, 0, 2, 0, 0, 0, 'a'},
	} {
		if text, err := DecodeLink(b); !errors.Is(err, EIO) {
			t.Errorf("%s: %q, %v; want EIO", name, text, err)
		}
	}
}

func FuzzDecodeLink(f *testing.F) {
	f.Add(windowsLink("a", 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		if text, err := DecodeLink(b); err == nil && (text == "" || len(text) > maxLinkText || strings.ContainsRune(text, 0)) {
			t.Errorf("%q", text)
		}
	})
}
