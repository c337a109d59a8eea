package initramfs

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/cavaliergopher/cpio"
	"github.com/google/go-cmp/cmp"
)

// TestArchive reads an archive back with a library's reader.
func TestArchive(t *testing.T) {
	a := New()
	a.File("/usr/bin/tool", 0o755, []byte("content"))
	a.Symlink("bin", "usr/bin")
	a.Char("dev/null", 0o666, 1, 3)
	a.Dir("tmp", 0o1777)
	var b bytes.Buffer
	if err := a.Write(&b); err != nil {
		t.Fatal(err)
	}
	type file struct {
		Name, Link, Data string
		Mode             int64
		Inode            int64
	}
	var got []file
	r := cpio.NewReader(&b)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Guid != 0 || h.ModTime.Unix() != 0 {
			t.Errorf("%s: owner %d:%d, time %v", h.Name, h.Uid, h.Guid, h.ModTime)
		}
		got = append(got, file{h.Name, h.Linkname, string(data), int64(h.Mode), h.Inode})
	}
	want := []file{
		{Name: "bin", Link: "usr/bin", Mode: 0o120777, Inode: 1},
		{Name: "dev", Mode: 0o040755, Inode: 2},
		{Name: "dev/null", Mode: 0o020666, Inode: 3},
		{Name: "tmp", Mode: 0o041777, Inode: 4},
		{Name: "usr", Mode: 0o040755, Inode: 5},
		{Name: "usr/bin", Mode: 0o040755, Inode: 6},
		{Name: "usr/bin/tool", Data: "content", Mode: 0o100755, Inode: 7},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}
