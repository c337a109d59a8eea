package ntfs

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func of(n uint32) *uint32 { return &n }

func TestMetadata(t *testing.T) {
	all := Metadata{UID: of(1000), GID: of(2000), Mode: of(0o100644), Device: &Device{8, 1}}
	b := all.Encode()
	// lxutil's LX_UTIL_FS_METADATA_EA_BUFFER_SIZE.
	if len(b) != 84 {
		t.Errorf("all metadata take %d bytes, want 84", len(b))
	}
	const first = "14000000" + "00" + "06" + "0400" + "244c58554944" + "00" + "e8030000" + "00"
	if got := hex.EncodeToString(b[:20]); got != first {
		t.Errorf("$LXUID is %s, want %s", got, first)
	}
	for _, m := range []Metadata{all, {}, {Mode: of(0)}, {Device: &Device{1, 1 << 20}}} {
		if got, err := DecodeMetadata(m.Encode()); err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("%+v became %+v, %v", m, got, err)
		}
	}
	odd := encodeEAs([]ea{{"$lxuid", []byte{5, 0, 0, 0}}, {"$LXGID", []byte{1}}, {"OTHER", []byte("x")}})
	if got, err := DecodeMetadata(odd); err != nil || !reflect.DeepEqual(got, Metadata{UID: of(5)}) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestXattrs(t *testing.T) {
	var list []byte
	for name, value := range map[string][]byte{"user.a": []byte("x"), "user.Empty": {}, "security.capability": bytes.Repeat([]byte{1}, 20)} {
		one, err := EncodeXattr(name, value)
		if err != nil {
			t.Fatal(err)
		}
		all, err := decodeEAs(one)
		if err != nil || all[0].name != "LX."+strings.ToUpper(name) || !bytes.HasPrefix(all[0].value, []byte("lxea")) {
			t.Errorf("%s is %v, %v", name, all, err)
		}
		have, err := decodeEAs(list)
		if err != nil {
			t.Fatal(err)
		}
		list = encodeEAs(append(have, all...))
		if got, err := DecodeXattr(list, name); err != nil || !bytes.Equal(got, value) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if names, err := ListXattrs(list); err != nil || !reflect.DeepEqual(names, []string{"security.capability", "user.a", "user.empty"}) {
		t.Errorf("%q, %v", names, err)
	}
	if _, err := DecodeXattr(list, "user.none"); !errors.Is(err, ENODATA) {
		t.Error(err)
	}
	if b, err := EncodeXattr("user.a", nil); err != nil || b[6] != 0 || b[7] != 0 {
		t.Errorf("removing: %x, %v", b, err)
	}
	for name, want := range map[string]error{"": EINVAL, "a\x00": EINVAL, strings.Repeat("a", 252): ERANGE} {
		if _, err := EncodeXattr(name, []byte("x")); !errors.Is(err, want) {
			t.Errorf("%.10q: %v, want %v", name, err, want)
		}
	}
	if _, err := EncodeXattr("user.big", make([]byte, MaxXattr+1)); !errors.Is(err, ENOSPC) {
		t.Error(err)
	}
	if _, err := EncodeXattr("user.big", make([]byte, MaxXattr)); err != nil {
		t.Error(err)
	}
}

func FuzzEAs(f *testing.F) {
	f.Add(Metadata{UID: of(1), Device: &Device{}}.Encode())
	f.Add([]byte{0, 0, 0, 0, 0, 1, 0, 0, 'a', 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := decodeEAs(b)
		DecodeMetadata(b)
		ListXattrs(b)
		if err != nil {
			return
		}
		again, err := decodeEAs(encodeEAs(all))
		if err != nil || len(again) != len(all) {
			t.Errorf("%d attributes became %d, %v", len(all), len(again), err)
		}
	})
}
