//go:build linux

package posix

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/guest/idmap"
)

const hostBase = 65536

// mappedTree serves a folder with files of root ("mine", "dir") and of one
// outside of the mapping ("foreign", "closed"), whose checks no client makes here.
func mappedTree(t *testing.T) (fs *FS, dir string, node func(name string) uint64) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("changing owners needs root")
	}
	dir = t.TempDir()
	for _, name := range []string{"dir", "closed"} {
		must(t, os.Mkdir(filepath.Join(dir, name), 0o777))
	}
	for _, name := range []string{"mine", "foreign", "closed/in"} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte("text"), 0o666))
	}
	for _, name := range []string{"foreign", "closed"} {
		must(t, os.Chown(filepath.Join(dir, name), 200000, 200000))
	}
	root, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(root)
	fs, err = New(Config{Root: root, IDs: &idmap.Range{Host: hostBase, Size: 65536}})
	must(t, err)
	t.Cleanup(func() { fs.Stop(); fs.Close() })
	return fs, dir, func(name string) uint64 {
		out := &fuse.EntryOut{}
		if code := fs.Lookup(nil, head(fuse.FUSE_ROOT_ID), name, out); code != fuse.OK {
			t.Fatalf("look up %s: %v", name, code)
		}
		return out.NodeId
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// head is a request's, of the container's root.
func head(node uint64) *fuse.InHeader {
	return &fuse.InHeader{NodeId: node, Caller: fuse.Caller{Owner: fuse.Owner{Uid: hostBase, Gid: hostBase}}}
}

// TestHostileClient asks for what the client's kernel would have refused.
func TestHostileClient(t *testing.T) {
	fs, dir, node := mappedTree(t)
	const root = fuse.FUSE_ROOT_ID
	foreign, closed, mine := node("foreign"), node("closed"), node("mine")
	in, out := func(n uint64) fuse.InHeader { return *head(n) }, &fuse.EntryOut{}
	setAttr := func(n uint64, valid, uid uint32) fuse.Status {
		return fs.SetAttr(nil, &fuse.SetAttrIn{SetAttrInCommon: fuse.SetAttrInCommon{InHeader: in(n), Valid: valid, Owner: fuse.Owner{Uid: uid}}}, &fuse.AttrOut{})
	}
	rename := func(from, to uint64, a, b string) fuse.Status {
		return fs.Rename(nil, &fuse.RenameIn{InHeader: in(from), Newdir: to}, a, b)
	}
	for _, c := range []struct {
		what string
		got  fuse.Status
		want unix.Errno
	}{
		{"chmod", setAttr(foreign, fuse.FATTR_MODE, 0), unix.EOVERFLOW},
		{"take over", setAttr(foreign, fuse.FATTR_UID, hostBase), unix.EOVERFLOW},
		{"truncate", setAttr(foreign, fuse.FATTR_SIZE, 0), unix.EOVERFLOW},
		{"give to none", setAttr(mine, fuse.FATTR_UID, idmap.None), unix.EOVERFLOW},
		{"give to the host's root", setAttr(mine, fuse.FATTR_UID, 0), unix.EOVERFLOW},
		{"open for writing", fs.Open(nil, &fuse.OpenIn{InHeader: in(foreign), Flags: unix.O_RDWR}, &fuse.OpenOut{}), unix.EACCES},
		{"open truncating", fs.Open(nil, &fuse.OpenIn{InHeader: in(foreign), Flags: unix.O_TRUNC}, &fuse.OpenOut{}), unix.EACCES},
		{"create over it", fs.Create(nil, &fuse.CreateIn{InHeader: in(root), Flags: unix.O_WRONLY, Mode: 0o600}, "foreign", &fuse.CreateOut{}), unix.EACCES},
		{"create in its folder", fs.Create(nil, &fuse.CreateIn{InHeader: in(closed), Flags: unix.O_WRONLY, Mode: 0o600}, "new", &fuse.CreateOut{}), unix.EACCES},
		{"mkdir in its folder", fs.Mkdir(nil, &fuse.MkdirIn{InHeader: in(closed), Mode: 0o700}, "new", out), unix.EACCES},
		{"symlink in its folder", fs.Symlink(nil, head(closed), "x", "new", out), unix.EACCES},
		{"unlink", fs.Unlink(nil, head(root), "foreign"), unix.EOVERFLOW},
		{"unlink in its folder", fs.Unlink(nil, head(closed), "in"), unix.EACCES},
		{"rmdir", fs.Rmdir(nil, head(root), "closed"), unix.EOVERFLOW},
		{"rename", rename(root, root, "foreign", "mine2"), unix.EOVERFLOW},
		{"rename over it", rename(root, root, "mine", "foreign"), unix.EOVERFLOW},
		{"rename out of its folder", rename(closed, root, "in", "out"), unix.EACCES},
		{"rename into its folder", rename(root, closed, "mine", "new"), unix.EACCES},
		{"link", fs.Link(nil, &fuse.LinkIn{InHeader: in(root), Oldnodeid: foreign}, "link", out), unix.EOVERFLOW},
		{"link into its folder", fs.Link(nil, &fuse.LinkIn{InHeader: in(closed), Oldnodeid: mine}, "link", out), unix.EACCES},
		{"set an attribute", fs.SetXAttr(nil, &fuse.SetXAttrIn{InHeader: in(foreign), Size: 1}, "user.a", []byte("b")), unix.EPERM},
		{"remove an attribute", fs.RemoveXAttr(nil, head(foreign), "user.a"), unix.EPERM},
		{"device", fs.Mknod(nil, &fuse.MknodIn{InHeader: in(root), Mode: unix.S_IFBLK | 0o600, Rdev: 0x800}, "disk", out), unix.EPERM},
		{"the host's root creates", fs.Mkdir(nil, &fuse.MkdirIn{InHeader: fuse.InHeader{NodeId: root}, Mode: 0o700}, "new", out), unix.EOVERFLOW},
	} {
		if c.got != fuse.Status(c.want) {
			t.Errorf("%s: %v, want %v", c.what, c.got, c.want)
		}
	}
	entries, err := os.ReadDir(dir)
	must(t, err)
	if len(entries) != 4 {
		t.Errorf("the folder holds %v", entries)
	}
	if code := fs.Open(nil, &fuse.OpenIn{InHeader: in(foreign)}, &fuse.OpenOut{}); code != fuse.OK {
		t.Errorf("open for reading: %v", code)
	}
	whiteout := &fuse.MknodIn{InHeader: in(root), Mode: unix.S_IFCHR}
	if code := fs.Mknod(nil, whiteout, "gone", out); code != fuse.OK {
		t.Errorf("overlayfs's whiteout: %v", code)
	}
}

func FuzzMappedXattrs(f *testing.F) {
	f.Add([]byte{2, 0, 0, 0, 2, 0, 7, 0, 1, 0, 0, 0})
	f.Add(make([]byte, capsV3Size))
	f.Add([]byte{1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	ids := idmap.Range{Host: hostBase, Size: 65536}
	f.Fuzz(func(t *testing.T, value []byte) {
		if there, err := aclFromClient(value, ids); err == nil {
			if back, err := aclToClient(there, ids); err != nil || string(back) != string(value) {
				t.Errorf("%v became %v and %v, %v", value, there, back, err)
			}
		}
		aclToClient(value, ids)
		capsToClient(value, ids)
		if there, err := capsFromClient(value, ids); err == nil {
			if back, err := capsToClient(there, ids); err != nil || string(back) != string(value) {
				t.Errorf("%v became %v and %v, %v", value, there, back, err)
			}
		}
	})
}
