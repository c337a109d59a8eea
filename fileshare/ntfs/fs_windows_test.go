package ntfs

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"golang.org/x/sys/windows"

	"github.com/paddock-run/paddock/fileshare/wire"
)

// tempDir is an empty folder, whose files have nothing of earlier tests'.
func tempDir(t *testing.T) string {
	t.Helper()
	forgetSpecial()
	return t.TempDir()
}

// hostReparse makes a file or folder of the host a reparse point, as a program of the host does.
func hostReparse(t *testing.T, path string, b []byte) {
	t.Helper()
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		t.Fatal(err)
	}
	h, err := windows.CreateFile(name, windows.FILE_WRITE_ATTRIBUTES|windows.FILE_READ_ATTRIBUTES|windows.SYNCHRONIZE, shareAll, nil, windows.OPEN_EXISTING,
		windows.FILE_FLAG_BACKUP_SEMANTICS|windows.FILE_FLAG_OPEN_REPARSE_POINT, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer windows.CloseHandle(h)
	if err := putReparse(h, b); err != nil {
		t.Skipf("the volume has no reparse points: %v", err)
	}
}

// junction is a reparse point as mklink /J makes it.
func junction(target string) []byte {
	units := utf16.Encode([]rune(`\??\` + target))
	data := make([]byte, 8)
	binary.LittleEndian.PutUint16(data[2:], uint16(2*len(units)))
	binary.LittleEndian.PutUint16(data[4:], uint16(2*len(units)+2))
	for _, u := range units {
		data = binary.LittleEndian.AppendUint16(data, u)
	}
	data = append(data, 0, 0, 0, 0) // the ends of both names; the second is empty
	b := binary.LittleEndian.AppendUint32(nil, uint32(TagMountPoint))
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(data))), data...)
}

func mkdir(t *testing.T, path ...string) string {
	t.Helper()
	dir := filepath.Join(path...)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t *testing.T, text string, path ...string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(path...), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func lookup(t *testing.T, fs *FS, parent uint64, name string) wire.Entry {
	t.Helper()
	e, err := fs.Lookup(parent, name)
	if err != nil {
		t.Fatalf("look %s up: %v", name, err)
	}
	return e
}

// Kubelet of a Windows node publishes by swapping a link of Windows' own.
func TestKubeletsLinks(t *testing.T) {
	dir := tempDir(t)
	write(t, "one", mkdir(t, dir, "..2024_1"), "token")
	write(t, "two", mkdir(t, dir, "..2024_2"), "token")
	hostReparse(t, mkdir(t, dir, "..data"), windowsLink("..2024_1", linkIsRelative))
	write(t, "", dir, "token")
	hostReparse(t, filepath.Join(dir, "token"), windowsLink(`..data\token`, linkIsRelative))
	fs, _ := serve(t, dir, true)
	for name, want := range map[string]string{"..data": "..2024_1", "token": "..data/token"} {
		e := lookup(t, fs, wire.RootID, name)
		if text, err := fs.Readlink(e.Node); err != nil || text != want || e.Attr.Mode != typeSymlink|0o777 || e.Attr.Size != uint64(len(want)) || e.NameValid != 0 {
			t.Errorf("%s: %q, %v, %+v", name, text, err, e)
		}
	}
	if err := os.Remove(filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	hostReparse(t, mkdir(t, dir, "..data"), windowsLink("..2024_2", linkIsRelative))
	if text, err := fs.Readlink(lookup(t, fs, wire.RootID, "..data").Node); err != nil || text != "..2024_2" {
		t.Errorf("after the swap: %q, %v", text, err)
	}
}

// A folder that the guest knows becomes a link to elsewhere: nothing behind it is reached.
func TestFoldersThatBecomeLinks(t *testing.T) {
	for name, reparse := range map[string][]byte{
		"junction": junction(`C:\`), "link": windowsLink(`\??\C:\`, 0), "relative link": windowsLink(`..\..`, linkIsRelative),
		"another program's": append(binary.LittleEndian.AppendUint32(nil, 0x8000001B), 4, 0, 0, 0, 1, 2, 3, 4),
	} {
		t.Run(name, func(t *testing.T) {
			dir := tempDir(t)
			write(t, "inside", mkdir(t, dir, "a", "b"), "f")
			fs, _ := serve(t, dir, false)
			a := lookup(t, fs, wire.RootID, "a").Node
			b := lookup(t, fs, a, "b").Node
			f := lookup(t, fs, b, "f").Node
			if err := os.RemoveAll(filepath.Join(dir, "a", "b")); err != nil { // a reparse point is set on an empty folder
				t.Fatal(err)
			}
			hostReparse(t, filepath.Join(dir, "a"), reparse)
			if err := os.Mkdir(filepath.Join(dir, "a", "b"), 0o755); err == nil { // where the link is none to the system that the test runs on
				write(t, "swapped", dir, "a", "b", "f")
			}
			if _, err := fs.Lookup(a, "b"); err == nil {
				t.Error("found a name behind the link")
			}
			if _, err := fs.Lookup(b, "f"); err == nil {
				t.Error("found a name behind the link, two deep")
			}
			if _, err := fs.Open(f, 0, false); err == nil {
				t.Error("opened a file behind the link")
			}
			if _, err := fs.OpenDir(a); err == nil {
				t.Error("opened the link as a folder")
			}
			if _, err := fs.Mkdir(a, "new", wire.Caller{}, 0o755, 0); err == nil {
				t.Error("made a folder behind the link")
			}
			if _, _, err := fs.Create(a, "new", wire.Caller{}, 2, 0o644, 0); err == nil {
				t.Error("made a file behind the link")
			}
			if err := fs.Unlink(b, "f"); err == nil {
				t.Error("removed a file behind the link")
			}
			if err := fs.Rename(b, "f", wire.RootID, "g", 0); err == nil {
				t.Error("moved a file from behind the link")
			}
		})
	}
}

// What leads to a drive of the host's is shown, and not told.
func TestLinksToDrives(t *testing.T) {
	dir := tempDir(t)
	hostReparse(t, mkdir(t, dir, "j"), junction(`C:\Windows`))
	write(t, "", dir, "l")
	hostReparse(t, filepath.Join(dir, "l"), windowsLink(`\??\C:\Windows`, 0))
	fs, _ := serve(t, dir, false)
	for _, name := range []string{"j", "l"} {
		e := lookup(t, fs, wire.RootID, name)
		if text, err := fs.Readlink(e.Node); !errors.Is(err, EIO) || e.Attr.Mode&typeMask != typeSymlink {
			t.Errorf("%s: %q, %v, %o", name, text, err, e.Attr.Mode)
		}
		if _, err := fs.Open(e.Node, 0, false); !errors.Is(err, ELOOP) {
			t.Errorf("%s: opened: %v", name, err)
		}
		if err := fs.Unlink(wire.RootID, name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Files of Windows' programs are root's; what the guest sets is there for WSL, in its bytes.
func TestMetadataIsWSLs(t *testing.T) {
	dir := tempDir(t)
	write(t, "", dir, "f")
	if err := os.Chmod(filepath.Join(dir, "f"), 0o444); err != nil {
		t.Fatal(err)
	}
	fs, _ := serve(t, dir, false)
	if !fs.hasEAs {
		t.Skip("the volume has no extended attributes")
	}
	f := lookup(t, fs, wire.RootID, "f")
	if f.Attr.Mode != typeRegular|0o555 || f.Attr.UID != 0 || f.Attr.GID != 0 {
		t.Errorf("a read-only file of Windows: %+v", f.Attr)
	}
	writable := uint32(0o644)
	if a, err := fs.SetAttr(f.Node, &wire.SetAttr{Mode: &writable}); err != nil || a.Mode != typeRegular|0o644 {
		t.Errorf("%o, %v", a.Mode, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "f")); err != nil || info.Mode()&0o200 == 0 {
		t.Errorf("read-only to Windows once it is writable: %v, %v", info.Mode(), err)
	}
	dev, err := fs.Mknod(wire.RootID, "dev", wire.Caller{UID: 5, GID: 6}, typeChar|0o620, 0o022, 0x1234f056)
	if err != nil || dev.Attr.Mode != typeChar|0o600 || dev.Attr.Device != 0x1234f056 || dev.Attr.UID != 5 {
		t.Errorf("%+v, %v", dev.Attr, err)
	}
	if _, err := fs.Open(dev.Node, 0, false); !errors.Is(err, ENXIO) {
		t.Errorf("opened a device: %v", err)
	}
	err = fs.with(dev.Node, 0, func(_ *node, h windows.Handle) error {
		eas, err := queryEAs(h)
		if err != nil {
			return err
		}
		m, err := DecodeMetadata(eas)
		if err != nil || m.UID == nil || *m.UID != 5 || *m.GID != 6 || *m.Mode != typeChar|0o600 || *m.Device != (Device{Major: 0x4f0, Minor: 0x12356}) {
			t.Errorf("%+v, %v", m, err)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	for _, kind := range []uint32{typeFIFO, typeSocket, typeBlock} {
		name := strings.Repeat("k", int(kind>>12))
		if e, err := fs.Mknod(wire.RootID, name, wire.Caller{}, kind|0o644, 0, 0); err != nil || e.Attr.Mode != kind|0o644 {
			t.Errorf("%o: %o, %v", kind, e.Attr.Mode, err)
		}
	}
}

// A new file below a set-group-id folder has the folder's group.
func TestSetGroupID(t *testing.T) {
	fs, _ := serve(t, tempDir(t), false)
	if !fs.hasEAs {
		t.Skip("the volume has no extended attributes")
	}
	d, err := fs.Mkdir(wire.RootID, "d", wire.Caller{UID: 1, GID: 42}, 0o2775, 0)
	if err != nil || d.Attr.Mode != typeDir|0o2775 {
		t.Fatalf("%o, %v", d.Attr.Mode, err)
	}
	if sub, err := fs.Mkdir(d.Node, "s", wire.Caller{UID: 1, GID: 7}, 0o755, 0); err != nil || sub.Attr.GID != 42 || sub.Attr.Mode != typeDir|0o2755 {
		t.Errorf("%+v, %v", sub.Attr, err)
	}
}

// What a guest makes the server hold is bounded, and comes back.
func TestBudget(t *testing.T) {
	dir := tempDir(t)
	for _, name := range []string{"a", "b", "c", "d"} {
		write(t, name, dir, name)
	}
	root, err := OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	budget := NewBudget(2, 3)
	fs, err := New(Config{Root: root, Budget: budget})
	if err != nil {
		t.Fatal(err)
	}
	defer fs.Close()
	var nodes []uint64
	for _, name := range []string{"a", "b", "c"} {
		nodes = append(nodes, lookup(t, fs, wire.RootID, name).Node)
	}
	if _, err := fs.Lookup(wire.RootID, "d"); !errors.Is(err, ENFILE) {
		t.Errorf("one inode too many: %v", err)
	}
	first, err := fs.Open(nodes[0], 0, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fs.OpenDir(wire.RootID); err != nil {
		t.Fatal(err)
	}
	if _, err := fs.Open(nodes[1], 0, false); !errors.Is(err, ENFILE) {
		t.Errorf("one handle too many: %v", err)
	}
	if _, _, err := fs.Create(wire.RootID, "new", wire.Caller{}, 2, 0o644, 0); !errors.Is(err, ENFILE) {
		t.Errorf("made and opened one too many: %v", err)
	}
	fs.Release(first, nil)
	if _, err := fs.Open(nodes[1], 0, false); err != nil {
		t.Error(err)
	}
	fs.Forget(nodes[2], 1)
	lookup(t, fs, wire.RootID, "d")
}
