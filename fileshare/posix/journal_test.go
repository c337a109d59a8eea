//go:build linux

package posix

import (
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestJournal(t *testing.T) {
	var b []byte
	a := folder{id: 7, parent: 1, key: inodeKey{devMajor: 8, devMinor: 1, ino: 99, birth: -5}, name: strings.Repeat("n", unix.NAME_MAX)}
	moved := a
	moved.parent, moved.name = 8, "m"
	other := folder{id: 8, parent: 1, key: inodeKey{ino: 100, birth: 1}, name: "other"}
	for _, f := range []folder{a, other, moved} {
		b = append(b, f.encode()...)
	}
	if got := parseJournal(b); !reflect.DeepEqual(got, map[uint64]folder{7: moved, 8: other}) {
		t.Errorf("%+v", got)
	}
	// What a crash cut off is left out, and what is before it counts.
	for cut := range len(moved.encode()) {
		if got := parseJournal(b[:len(b)-1-cut]); got[7] != a || got[8] != other {
			t.Fatalf("cut by %d: %+v", cut+1, got)
		}
	}
}

func FuzzJournal(f *testing.F) {
	f.Add(folder{id: 1, parent: 2, name: "a"}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		for id, got := range parseJournal(b) {
			if id != got.id || checkName(got.name) != nil {
				t.Errorf("%+v", got)
			}
		}
	})
}
