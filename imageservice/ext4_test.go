package imageservice

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// checkExt4 has e2fsck look for any fault.
func checkExt4(t testing.TB, path string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		return // no e2fsck there; the disks are the same
	}
	if out, err := exec.Command("/sbin/e2fsck", "-fn", path).CombinedOutput(); err != nil {
		t.Errorf("e2fsck: %v\n%s", err, out)
	}
}

// debugfs runs one command on a disk.
func debugfs(t testing.TB, path, command string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("no debugfs on Windows; the disks are the same")
	}
	out, err := exec.Command("/sbin/debugfs", "-R", command, path).Output()
	if err != nil {
		t.Fatalf("debugfs %s: %v", command, err)
	}
	return string(out)
}

// unpackTar makes a disk of a tar.
func unpackTar(t testing.TB, tarball []byte) (string, error) {
	t.Helper()
	return unpackWith(t, ext4Unpacker{maxBytes: 64 << 30}, tarball)
}

func unpackWith(t testing.TB, u ext4Unpacker, tarball []byte) (string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk")
	dst, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer dst.Close()
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(tarball)), nil }
	return path, u.Unpack(context.Background(), open, dst)
}

func TestExt4IsFaithful(t *testing.T) {
	mtime := time.Unix(1700000000, 123456789)
	acl := "\x02\x00\x00\x00\x01\x00\x06\x00\xff\xff\xff\xff\x02\x00\x07\x00\xe8\x03\x00\x00\x04\x00\x04\x00\xff\xff\xff\xff\x10\x00\x07\x00\xff\xff\xff\xff\x20\x00\x00\x00\xff\xff\xff\xff"
	long := strings.Repeat("n", 255)
	disk, err := unpackTar(t, tarOf(t,
		tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o755},
		tar.Header{Name: "/abs/file", Mode: 0o4755, Uid: 70000, Gid: 80000, ModTime: mtime, Format: tar.FormatPAX},
		tar.Header{Name: "abs/../dots", Uname: "dots"},
		tar.Header{Name: "short", Typeflag: tar.TypeSymlink, Linkname: "abs/file"},
		tar.Header{Name: "longlink", Typeflag: tar.TypeSymlink, Linkname: strings.Repeat("l", 300)},
		tar.Header{Name: "hard", Typeflag: tar.TypeLink, Linkname: "abs/file"},
		tar.Header{Name: "null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3, Mode: 0o666},
		tar.Header{Name: "disk", Typeflag: tar.TypeBlock, Devmajor: 259, Devminor: 300},
		tar.Header{Name: "fifo", Typeflag: tar.TypeFifo},
		tar.Header{Name: long, Uname: "long"},
		tar.Header{Name: "\xff\xfe odd\n", Uname: "odd"},
		tar.Header{Name: "caps", PAXRecords: map[string]string{
			"SCHILY.xattr.security.capability":     "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
			"SCHILY.xattr.user.mime":               "text/plain",
			"SCHILY.xattr.trusted.overlay.opaque":  "y",
			"SCHILY.xattr.system.posix_acl_access": acl,
		}},
		tar.Header{Name: ".wh.gone"},
		tar.Header{Name: "od/.wh..wh..opq"},
		tar.Header{Name: "od/kept", Uname: "kept"},
		tar.Header{Name: "od", Typeflag: tar.TypeDir, Mode: 0o1777},
		tar.Header{Name: ".wh..wh.plnk", Uname: "aufs"},
		tar.Header{Name: "no/such/parents/f", Uname: "deep"},
		tar.Header{Name: "usr/lib", Typeflag: tar.TypeDir, Mode: 0o755},
		tar.Header{Name: "lib", Typeflag: tar.TypeSymlink, Linkname: "usr/lib"},
		tar.Header{Name: "lib/through", Uname: "through"},
		tar.Header{Name: "lib/linked", Typeflag: tar.TypeLink, Linkname: "lib/through"},
	))
	if err != nil {
		t.Fatal(err)
	}
	checkExt4(t, disk)
	for path, want := range map[string][]string{
		"/abs/file":        {"Mode:  04755", "User: 70000", "Group: 80000", "Links: 2", "mtime: 0x6553f100"},
		"/hard":            {"Links: 2"},
		"/dots":            {"Type: regular"},
		"/short":           {`Fast link dest: "abs/file"`},
		"/longlink":        {"Type: symlink", "Size: 300"},
		"/null":            {"Type: character special", "major/minor number: 01:03"},
		"/disk":            {"Type: block special", "major/minor number: 259:300"},
		"/fifo":            {"Type: FIFO"},
		"/" + long:         {"Type: regular"},
		"/caps":            {"security.capability (20)", "user.mime", "system.posix_acl_access"},
		"/gone":            {"Type: character special", "major/minor number: 00:00"},
		"/od":              {"Mode:  01777", "trusted.overlay.opaque"},
		"/usr/lib/through": {"Links: 2"},
		"/usr/lib/linked":  {"Links: 2"},
	} {
		got := debugfs(t, disk, "stat \""+path+"\"")
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("%s: no %q in\n%s", path, w, got)
			}
		}
	}
	for path, want := range map[string]string{"/od/kept": "kept", "/no/such/parents/f": "deep", "/hard": "/abs/file", "/usr/lib/through": "through"} {
		if got := debugfs(t, disk, "cat "+path); got != want {
			t.Errorf("%s holds %q, want %q", path, got, want)
		}
	}
	if strings.Contains(debugfs(t, disk, "stat /caps"), "overlay") {
		t.Error("an image's trusted.overlay attribute was kept")
	}
	if acl := debugfs(t, disk, "ea_list /caps"); !strings.Contains(acl, "posix_acl_access (28)") {
		t.Errorf("acl: %s", acl)
	}
	if ls := debugfs(t, disk, "ls /"); strings.Contains(ls, "plnk") || !strings.Contains(ls, "odd") {
		t.Errorf("root: %s", ls)
	}
}

func TestExt4Replacements(t *testing.T) {
	dir := func(n string) tar.Header { return tar.Header{Name: n, Typeflag: tar.TypeDir, Mode: 0o755} }
	file := func(n, c string) tar.Header { return tar.Header{Name: n, Uname: c} }
	link := func(n, to string) tar.Header { return tar.Header{Name: n, Typeflag: tar.TypeLink, Linkname: to} }
	big := strings.Repeat("big ", 5000)
	for name, tc := range map[string]struct {
		in   []tar.Header
		want map[string]string // contents; "-": absent, "c": whiteout, "o": opaque directory, "d": directory
	}{
		"file twice":                 {[]tar.Header{file("a", big), file("a", "new")}, map[string]string{"a": "new"}},
		"file by directory":          {[]tar.Header{file("a", big), dir("a"), file("a/b", "b")}, map[string]string{"a": "d", "a/b": "b"}},
		"directory by file":          {[]tar.Header{dir("a"), file("a/b", "b"), file("a", "f")}, map[string]string{"a": "f"}},
		"directory, file, directory": {[]tar.Header{file("a/x", "x"), file("a", "f"), dir("a"), file("a/y", "y")}, map[string]string{"a/x": "-", "a/y": "y"}},
		"linked, then replaced":      {[]tar.Header{file("a", big), link("b", "a"), file("a", "new")}, map[string]string{"a": "new", "b": big}},
		"replaced, then linked":      {[]tar.Header{file("a", big), file("a", "new"), link("b", "a")}, map[string]string{"a": "new", "b": "new"}},
		"link replaced":              {[]tar.Header{file("a", big), link("b", "a"), file("b", "own")}, map[string]string{"a": big, "b": "own"}},
		"whiteout beside file":       {[]tar.Header{file(".wh.a", ""), file("a", "f")}, map[string]string{"a": "f"}},
		"whiteout after file":        {[]tar.Header{file("a", "f"), file(".wh.a", "")}, map[string]string{"a": "f"}},
		"whiteout beside directory":  {[]tar.Header{file(".wh.a", ""), dir("a"), file("a/b", "b")}, map[string]string{"a": "o", "a/b": "b"}},
		"whiteout of implied dir":    {[]tar.Header{file("a/b", "b"), file(".wh.a", "")}, map[string]string{"a": "o", "a/b": "b"}},
		"whiteout twice":             {[]tar.Header{file(".wh.a", ""), file(".wh.a", "")}, map[string]string{"a": "c"}},
		"directory twice":            {[]tar.Header{dir("a"), file("a/b", "b"), dir("a")}, map[string]string{"a": "d", "a/b": "b"}},
		"empty layer":                {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			disk, err := unpackTar(t, tarOf(t, tc.in...))
			if err != nil {
				t.Fatal(err)
			}
			checkExt4(t, disk)
			for path, want := range tc.want {
				checkPath(t, disk, "/"+path, want)
			}
		})
	}
}

func checkPath(t *testing.T, disk, path, want string) {
	t.Helper()
	stat := debugfs(t, disk, "stat "+path)
	ok := false
	switch want {
	case "-":
		ok = !strings.Contains(stat, "Inode:")
	case "c":
		ok = strings.Contains(stat, "number: 00:00")
	case "d":
		ok = strings.Contains(stat, "Type: directory") && !strings.Contains(stat, "overlay.opaque")
	case "o":
		ok = strings.Contains(stat, "Type: directory") && strings.Contains(stat, "overlay.opaque")
	default:
		stat = debugfs(t, disk, "cat "+path)
		ok = stat == want
	}
	if !ok {
		t.Errorf("%s: want %.20q, got %.300s", path, want, stat)
	}
}

func TestExt4Refuses(t *testing.T) {
	for name, h := range map[string]tar.Header{
		"escape":        {Name: "../x"},
		"hidden escape": {Name: "a/../../x"},
		"link escape":   {Name: "x", Typeflag: tar.TypeLink, Linkname: "../../etc/passwd"},
		"no target":     {Name: "x", Typeflag: tar.TypeLink, Linkname: "nothing"},
		"whiteout up":   {Name: "a/.wh..."},
		"no whiteout":   {Name: ".wh."},
		"long name":     {Name: strings.Repeat("n", 256)},
		"huge file":     {Name: "x", Typeflag: tar.TypeReg, Format: tar.FormatPAX},
		"long xattr":    {Name: "x", PAXRecords: map[string]string{"SCHILY.xattr.user.x": strings.Repeat("x", 5000)}},
	} {
		t.Run(name, func(t *testing.T) {
			tarball := tarOf(t, h)
			if name == "huge file" {
				tarball = hugeHeader(t)
			}
			if _, err := unpackTar(t, tarball); err == nil || !strings.Contains(err.Error(), ErrCorrupt.Error()) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func hugeHeader(t *testing.T) []byte {
	var b bytes.Buffer
	if err := tar.NewWriter(&b).WriteHeader(&tar.Header{Name: "x", Typeflag: tar.TypeReg, Size: 50 << 30, Format: tar.FormatPAX}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestExt4LeavesHoles(t *testing.T) {
	disk, err := unpackTar(t, tarOf(t, tar.Header{Name: "z", Uname: string(make([]byte, 64<<20))}))
	if err != nil {
		t.Fatal(err)
	}
	checkExt4(t, disk)
	fi, err := os.Stat(disk)
	if err != nil || fi.Size() < 64<<20 || runtime.GOOS != "windows" && allocatedBytes(fi) > 4<<20 {
		t.Errorf("%d bytes long, %d on disk, %v", fi.Size(), allocatedBytes(fi), err)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(tarOf(f, tar.Header{Name: "a"}, tar.Header{Name: "a"}))
	f.Add(tarOf(f, tar.Header{Name: ".wh.a"}, tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "l"}, tar.Header{Name: "l/x"}))
	f.Add([]byte("no tar"))
	f.Fuzz(func(t *testing.T, tarball []byte) {
		if disk, err := unpackTar(t, tarball); err == nil {
			checkExt4(t, disk)
		}
	})
}
