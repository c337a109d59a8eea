package ntfs

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf16"
)

func TestNames(t *testing.T) {
	for name, want := range map[string]string{
		"plain":     "plain",
		"äöü 漢字 😀":  "äöü 漢字 😀",
		"a:b":       "a\uf03ab",
		`\"*<>?|`:   "\uf05c\uf022\uf02a\uf03c\uf03e\uf03f\uf07c",
		"tab\there": "tab\uf009here",
		"end.":      "end\uf02e",
		"end ":      "end\uf020",
		".hidden":   ".hidden",
		"...":       "..\uf02e",
		"CON":       "CON", // opened by handle, NT's own names mean nothing
	} {
		got, err := EncodeName(name)
		if err != nil || string(utf16.Decode(got)) != want {
			t.Errorf("%q: %q, %v; want %q", name, string(utf16.Decode(got)), err, want)
		}
		if back, ok := DecodeName(got); !ok || back != name {
			t.Errorf("%q came back as %q, %v", name, back, ok)
		}
	}
	for name, want := range map[string]error{
		"": EINVAL, ".": EINVAL, "..": EINVAL, "a/b": EINVAL, "a\x00": EINVAL, "\xff": EINVAL,
		strings.Repeat("a", 256): ENAMETOOLONG, strings.Repeat("😀", 128): ENAMETOOLONG,
	} {
		if _, err := EncodeName(name); !errors.Is(err, want) {
			t.Errorf("%.10q: %v, want %v", name, err, want)
		}
	}
	for _, hidden := range [][]uint16{nil, {'.'}, {'.', '.'}, {0xD800}, {'a', '.'}, {'a', ':', 'b'}, {0xF02F}} {
		if name, ok := DecodeName(hidden); ok && !strings.ContainsRune(name, 0xF02F) {
			t.Errorf("%v is shown as %q", hidden, name)
		}
	}
}

// FuzzNames: no name leads out of its folder, and two files never have one name.
func FuzzNames(f *testing.F) {
	f.Add("a:b", "a\uf03ab")
	f.Add("..", "x.")
	f.Fuzz(func(t *testing.T, a, b string) {
		x, errA := EncodeName(a)
		y, errB := EncodeName(b)
		if errA == nil {
			for i, c := range x {
				if c == '\\' || c == '/' || c == ':' || c == 0 || c == '.' && i == len(x)-1 {
					t.Errorf("%q is %q", a, string(utf16.Decode(x)))
				}
			}
		}
		if errA == nil && errB == nil && a != b && string(utf16.Decode(x)) == string(utf16.Decode(y)) {
			if _, shown := DecodeName(x); shown && !strings.ContainsFunc(a+b, func(c rune) bool { return c > private && c < private+0x80 }) {
				t.Errorf("%q and %q are both %q", a, b, string(utf16.Decode(x)))
			}
		}
	})
}
