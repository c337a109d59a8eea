package ntfs

import (
	"bytes"
	"slices"
	"strings"
)

const (
	xattrPrefix = "LX."  // of the attribute's name
	xattrMagic  = "lxea" // before its value, so that an empty value is not none
	// MaxXattr is the longest value, in bytes.
	MaxXattr = maxEAValue - len(xattrMagic)
)

// EncodeXattr makes the list that sets one attribute; a nil value removes it. NTFS
// keeps names in capitals: names that differ in case alone are one.
func EncodeXattr(name string, value []byte) ([]byte, error) {
	switch {
	case name == "" || strings.ContainsRune(name, 0):
		return nil, EINVAL
	case len(xattrPrefix)+len(name) > maxEAName:
		return nil, ERANGE
	case len(value) > MaxXattr:
		return nil, ENOSPC
	}
	a := ea{name: xattrPrefix + strings.ToUpper(name)}
	if value != nil {
		a.value = append([]byte(xattrMagic), value...)
	}
	return encodeEAs([]ea{a}), nil
}

// DecodeXattr finds an attribute among all of a file; ENODATA if it is not there.
func DecodeXattr(eas []byte, name string) ([]byte, error) {
	all, err := decodeEAs(eas)
	if err != nil {
		return nil, err
	}
	for _, a := range all {
		if value, ok := bytes.CutPrefix(a.value, []byte(xattrMagic)); ok && sameEA(a.name, xattrPrefix+name) {
			return value, nil
		}
	}
	return nil, ENODATA
}

// ListXattrs names those of a file, in small letters, which Linux' names almost always have.
func ListXattrs(eas []byte) ([]string, error) {
	all, err := decodeEAs(eas)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, a := range all {
		name := strings.ToLower(a.name)
		name, ok := strings.CutPrefix(name, strings.ToLower(xattrPrefix))
		if ok && name != "" && bytes.HasPrefix(a.value, []byte(xattrMagic)) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}
