package ntfs

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// private is where characters that Windows forbids in names are moved to.
const private = 0xF000

// maxName is the longest name, in UTF-16 units.
const maxName = 255

// forbidden tells whether Windows refuses a character in a name.
func forbidden(c rune) bool { return c < 0x20 || strings.ContainsRune(`"*:<>?\|`, c) }

// EncodeName makes one path component of Linux' into NTFS'. It is the one place that
// every name passes: EINVAL for anything that is a path, or no name. As in WSL, a name that
// holds one of the private characters itself means the same file as the one with the plain character.
func EncodeName(name string) ([]uint16, error) {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
		return nil, EINVAL
	}
	if !utf8.ValidString(name) { // NTFS' names are text
		return nil, EINVAL
	}
	runes := []rune(name)
	for i, c := range runes {
		last := i == len(runes)-1
		if forbidden(c) || last && (c == '.' || c == ' ') { // which Win32 cuts off
			runes[i] = private + c
		}
	}
	out := utf16.Encode(runes)
	if len(out) > maxName {
		return nil, ENAMETOOLONG
	}
	return out, nil
}

// DecodeName is its inverse. ok is false for a name that Linux cannot have, or
// that EncodeName would make into another; such files are not shown.
func DecodeName(name []uint16) (string, bool) {
	runes := utf16.Decode(name)
	for i, c := range runes {
		if c > private && c < private+0x80 {
			plain := c - private
			last := i == len(runes)-1
			if forbidden(plain) || last && (plain == '.' || plain == ' ') {
				runes[i] = plain
			}
		}
	}
	text := string(runes)
	again, err := EncodeName(text)
	if err != nil || len(again) != len(name) {
		return "", false
	}
	for i := range again {
		if again[i] != name[i] {
			return "", false
		}
	}
	return text, true
}
