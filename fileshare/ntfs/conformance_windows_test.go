package ntfs

import (
	"testing"

	"golang.org/x/sys/windows"

	"github.com/paddock-run/paddock/fileshare/session"
	"github.com/paddock-run/paddock/fileshare/sharetest"
	"github.com/paddock-run/paddock/fileshare/wire"
)

// serve serves a directory for a test, and sees that all is given back.
func serve(t *testing.T, dir string, readOnly bool) (*FS, *Budget) {
	t.Helper()
	root, err := OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	budget := NewBudget(1000, 10000)
	fs, err := New(Config{Root: root, ReadOnly: readOnly, Budget: budget, Defaults: Defaults{Umask: 0o022}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		fs.Close()
		if budget.Handles() != 0 || budget.Nodes() != 0 {
			t.Errorf("%d handles and %d inodes were not given back", budget.Handles(), budget.Nodes())
		}
	})
	return fs, budget
}

func TestConformance(t *testing.T) {
	b := sharetest.Backend{Open: func(t *testing.T, dir string, readOnly bool) session.Handler {
		fs, _ := serve(t, dir, readOnly)
		return wire.NewHandler(fs, session.MaxWrite)
	}}
	dir := t.TempDir()
	root, err := OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer windows.CloseHandle(root)
	if !volumeHasEAs(root) { // Wine 10
		b.NoMetadata = "the volume has no extended attributes"
	}
	b.NoLinks, b.NoReplace = noLinks(t, root), noReplace(t, root)
	sharetest.Run(t, b)
}

// makeFile makes a file for a probe of the volume.
func makeFile(t *testing.T, root windows.Handle, name string) windows.Handle {
	t.Helper()
	coded, err := EncodeName(name)
	if err != nil {
		t.Fatal(err)
	}
	h, err := openAt(root, coded, opening{access: windows.FILE_WRITE_ATTRIBUTES | windows.DELETE, disposition: windows.FILE_CREATE})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { windows.CloseHandle(h) })
	return h
}

// noLinks tells why there are none of WSL's reparse points; Wine 10 has none.
func noLinks(t *testing.T, root windows.Handle) string {
	if err := makeSpecial(makeFile(t, root, "link"), making{mode: typeSymlink, text: "text"}); err != nil {
		return "the volume has no reparse points: " + err.Error()
	}
	return ""
}

// noReplace tells why an open file is not replaced; Wine 10 refuses it.
func noReplace(t *testing.T, root windows.Handle) string {
	makeFile(t, root, "open")
	name, _ := EncodeName("open")
	s := setInfo(makeFile(t, root, "new"), fileRenameInformationEx, linkOrRename(renameReplace|renamePOSIX, root, name))
	if err := s.Err(); err != nil {
		return "the volume does not replace files that are open: " + err.Error()
	}
	return ""
}
