package ntfs

import (
	"encoding/binary"
	"reflect"
	"testing"
	"unicode/utf16"
)

// notification is FILE_NOTIFY_INFORMATION; last has no next.
func notification(action uint32, path string, last bool) []byte {
	units := utf16.Encode([]rune(path))
	b := make([]byte, 12, 64)
	binary.LittleEndian.PutUint32(b[4:], action)
	binary.LittleEndian.PutUint32(b[8:], uint32(2*len(units)))
	for _, u := range units {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	if !last {
		binary.LittleEndian.PutUint32(b, uint32(len(b)))
	}
	return b
}

func TestParseChanges(t *testing.T) {
	b := append(notification(1, `a\b\c`, false), notification(2, `a\..\c`, false)...) // which is no path of names
	b = append(append(b, notification(3, "odd\uf03a", false)...), notification(4, "last", true)...)
	want := []change{{1, []string{"a", "b", "c"}}, {3, []string{"odd:"}}, {4, []string{"last"}}}
	if got := parseChanges(b); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := parseChanges(b[:len(b)-3]); len(got) != 2 {
		t.Errorf("cut off: %+v", got)
	}
}

func FuzzParseChanges(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 1, 0, 0, 0, 6, 0, 0, 0, 'a', 0, '\\', 0, 'b', 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, c := range parseChanges(b) {
			for _, name := range c.path {
				if _, err := EncodeName(name); err != nil {
					t.Errorf("%q in %q", name, c.path)
				}
			}
		}
	})
}
