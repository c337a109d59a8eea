package ntfs

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/paddock-run/paddock/fileshare/wire"
	"github.com/paddock-run/paddock/guest/sharechange"
)

// watchTree serves a directory and gathers what the client is told.
func watchTree(t *testing.T, dir string) (*FS, chan sharechange.Change) {
	t.Helper()
	fs, _ := serve(t, dir, false)
	told := make(chan sharechange.Change, 100)
	if err := fs.Watch(func(c sharechange.Change) { told <- c }); err != nil {
		t.Fatal(err)
	}
	return fs, told
}

// expect waits for a change of a kind and name, which others may come before.
func expect(t *testing.T, told chan sharechange.Change, kind sharechange.Kind, name string) sharechange.Change {
	t.Helper()
	for end := time.After(20 * time.Second); ; {
		select {
		case c := <-told:
			if c.Kind == kind && c.Name == name {
				return c
			}
		case <-end:
			t.Fatalf("not told: %v of %s", kind, name)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// The client is told what the host does in directories that it knows.
func TestWatch(t *testing.T) {
	dir := tempDir(t)
	write(t, "x", mkdir(t, dir, "d"), "f")
	mkdir(t, dir, "unknown")
	fs, told := watchTree(t, dir)
	d := lookup(t, fs, wire.RootID, "d")
	f := lookup(t, fs, d.Node, "f")

	write(t, "new", dir, "unknown", "f") // of which it is not told
	write(t, "longer", dir, "d", "f")
	if c := expect(t, told, sharechange.Modify, "f"); c.Dir != d.Node || c.Node != f.Node || c.Ino != f.Attr.Ino || c.Mode&typeMask != typeRegular || c.Gone {
		t.Errorf("%+v", c)
	}
	expect(t, told, sharechange.CloseWrite, "f")
	write(t, "", dir, "new")
	if c := expect(t, told, sharechange.Create, "new"); c.Dir != wire.RootID || c.Node != 0 || c.Ino == 0 {
		t.Errorf("%+v", c)
	}
	must(t, os.Rename(filepath.Join(dir, "d", "f"), filepath.Join(dir, "d", "g")))
	if c := expect(t, told, sharechange.Rename, "f"); c.Dir != d.Node || c.NewDir != d.Node || c.NewName != "g" || c.Node != f.Node {
		t.Errorf("%+v", c)
	}
	if a, err := fs.GetAttr(f.Node); err != nil || a.Size != 6 { // by its new name
		t.Errorf("%+v, %v", a, err)
	}
	must(t, os.Remove(filepath.Join(dir, "d", "g")))
	if c := expect(t, told, sharechange.Delete, "g"); c.Node != f.Node || !c.Gone {
		t.Errorf("%+v", c)
	}
}

// It is not told of what it does itself.
func TestWatchOwnChanges(t *testing.T) {
	dir := tempDir(t)
	fs, told := watchTree(t, dir)
	e, h, err := fs.Create(wire.RootID, "f", wire.Caller{}, 2, 0o644, 0)
	must(t, err)
	for range 3 {
		_, err = fs.Write(e.Node, h, wire.Write{Data: []byte("text"), Append: true})
		must(t, err)
		time.Sleep(50 * time.Millisecond)
	}
	fs.Release(h, nil)
	must(t, fs.Rename(wire.RootID, "f", wire.RootID, "g", 0))
	must(t, fs.Unlink(wire.RootID, "g"))
	_, err = fs.Mkdir(wire.RootID, "d", wire.Caller{}, 0o755, 0)
	must(t, err)
	write(t, "", dir, "of the host")
	for {
		c := <-told
		if c.Name == "of the host" {
			return
		}
		t.Errorf("told of its own: %+v", c)
	}
}
