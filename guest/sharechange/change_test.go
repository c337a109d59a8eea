package sharechange

import (
	"strings"
	"testing"
)

func TestRoundTrip(t *testing.T) {
	long := strings.Repeat("n", maxName)
	for _, c := range []Change{
		{Kind: Create, Mode: 0o100644, Dir: 1, DirIno: 2, Name: "f"},
		{Kind: Modify, Gone: true},
		{Kind: Rename, Mode: 0o40755, Dir: 1, DirIno: 2, Name: long, Node: 3, Ino: 4, NewDir: 5, NewDirIno: 6, NewName: long, Replaced: 7, ReplacedMode: 0o100600},
	} {
		msg := Encode(c)
		if len(msg) > MaxSize || !Is(msg) {
			t.Errorf("%+v: %d bytes", c, len(msg))
		}
		if got, err := Decode(msg); err != nil || got != c {
			t.Errorf("%+v became %+v, %v", c, got, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(Encode(Change{Kind: Rename, Name: "a", NewName: "b"}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, msg []byte) {
		c, err := Decode(msg)
		if err != nil {
			return
		}
		if strings.ContainsRune(c.Name+c.NewName, '/') {
			t.Errorf("a path came through: %+v", c)
		}
		if again, err := Decode(Encode(c)); err != nil || again != c {
			t.Errorf("%+v became %+v, %v", c, again, err)
		}
	})
}
