package imageservice

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/paddock-run/paddock/guest"
)

func windowsTar(t testing.TB, hdrs ...tar.Header) (string, error) {
	t.Helper()
	return unpackWith(t, ext4Unpacker{maxBytes: 1 << 30, windows: true}, tarOf(t, hdrs...))
}

// TestWindowsLayer unpacks a layer with all that Windows' own tools and BuildKit put into one.
func TestWindowsLayer(t *testing.T) {
	attr := func(v string) map[string]string { return map[string]string{"MSWINDOWS.fileattr": v} }
	disk, err := windowsTar(t,
		tar.Header{Name: "Files", Typeflag: tar.TypeDir},
		tar.Header{Name: "Hives/System_Delta", Uname: "regf"},
		tar.Header{Name: "UtilityVM/Files/bootmgr.efi", Uname: "boot"},
		tar.Header{Name: "Files/WINDOWS/system32/my.dll", Uname: "dll"},
		tar.Header{Name: "Files/Windows/System32/other.dll", Uname: "other"},
		tar.Header{Name: "Files/App", Typeflag: tar.TypeDir, PAXRecords: attr("17")},
		tar.Header{Name: "Files/app/Server.exe", Mode: 0, Uid: 5, PAXRecords: attr("33"), Uname: "exe"},
		tar.Header{Name: "Files/APP/server.EXE", Mode: 0, PAXRecords: attr("34"), Uname: "newer exe"},
		tar.Header{Name: "Files/App/locked.txt", PAXRecords: attr("1"), Uname: "locked"},
		tar.Header{Name: "Files/App/again.exe", Typeflag: tar.TypeLink, Linkname: "Files/app/server.exe"},
		tar.Header{Name: "Files/Users/All Users", Typeflag: tar.TypeSymlink, Linkname: `C:\programdata`},
		tar.Header{Name: "Files/App/data", Typeflag: tar.TypeSymlink, Linkname: `..\Data`},
		tar.Header{Name: "Files/App/.wh.Old.dll"},
	)
	if err != nil {
		t.Fatal(err)
	}
	checkExt4(t, disk)
	for path, want := range map[string]string{
		"/windows/system32/my.dll": "dll", "/windows/system32/other.dll": "other",
		"/App/Server.exe": "newer exe", "/App/again.exe": "newer exe", "/App/locked.txt": "locked",
	} {
		if got := debugfs(t, disk, "cat "+path); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
	for path, want := range map[string]string{
		"/App/Server.exe": "0755", "/App/locked.txt": "0555", "/App": "0755",
		"/Users/All\\ Users": `"../ProgramData"`, "/App/data": `"../Data"`, "/App/Old.dll": "character special",
	} {
		if got := debugfs(t, disk, "stat \""+strings.ReplaceAll(path, `\`, "")+"\""); !strings.Contains(got, want) {
			t.Errorf("%s: want %s in\n%s", path, want, got)
		}
	}
	if got := debugfs(t, disk, "ea_get -V /App/Server.exe user.DOSATTRIB"); !strings.Contains(got, "0x2") {
		t.Errorf("the hidden attribute is %q", got)
	}
	if ls := debugfs(t, disk, "ls /"); strings.Contains(ls, "Hives") || strings.Contains(ls, "UtilityVM") || strings.Contains(ls, "WINDOWS") {
		t.Errorf("drive C: has %s", ls)
	}
}

func TestWindowsLayerErrors(t *testing.T) {
	for name, hdr := range map[string]tar.Header{
		"a Linux layer":        {Name: "bin/sh"},
		"backslash":            {Name: `Files\a`},
		"leads out":            {Name: "Files/../../etc/passwd"},
		"device":               {Name: "Files/null", Typeflag: tar.TypeChar},
		"link out of drive":    {Name: "Files/a", Typeflag: tar.TypeLink, Linkname: "Hives/System_Delta"},
		"attributes no number": {Name: "Files/a", PAXRecords: map[string]string{"MSWINDOWS.fileattr": "x"}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := windowsTar(t, hdr); !errors.Is(err, ErrCorrupt) {
				t.Errorf("got %v, want %v", err, ErrCorrupt)
			}
		})
	}
}

// TestForeignLayer pulls an image whose base no registry may carry, as older
// Windows images have it: the manifest says where else to get it.
func TestForeignLayer(t *testing.T) {
	ctx, reg := context.Background(), newTestRegistry(t)
	content := fileTar(t, "Files/base.txt", []byte("from its maker"))
	blob := gzipped(content)
	var asked http.Header
	maker := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.Header.Clone()
		w.Write(blob)
	}))
	defer maker.Close()
	foreign := testLayer{ocispec.Descriptor{
		MediaType: images.MediaTypeDockerSchema2LayerForeignGzip, Digest: digest.FromBytes(blob), Size: int64(len(blob)),
		URLs: []string{maker.URL + "/base"},
	}, digest.FromBytes(content)}
	own := reg.layer(t, "app", fileTar(t, "Files/app.txt", []byte("app")), "gzip")
	reg.image(t, "app", "v1", windowsAMD64, foreign, own)
	s := newTestStore(t, t.TempDir(), nil)
	img, err := s.Pull(ctx, reg.host+"/app:v1", guest.Windows, &Auth{Username: "u", Password: "p"})
	if err != nil {
		t.Fatal(err)
	}
	layers, err := s.Layers(ctx, img.ID, "c")
	if err != nil || len(layers) != 2 || debugfs(t, layers[0].Path, "cat /base.txt") != "from its maker" {
		t.Errorf("layers %v, %v", layers, err)
	}
	if asked.Get("Authorization") != "" {
		t.Error("the registry's credentials went to a foreign URL")
	}

	// The same descriptor as a layer of the usual kind: its URLs do not count.
	foreign.desc.MediaType = ocispec.MediaTypeImageLayerGzip
	reg.image(t, "app", "v2", windowsAMD64, foreign)
	if _, err := newTestStore(t, t.TempDir(), nil).Pull(ctx, reg.host+"/app:v2", guest.Windows, nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("a layer that only a foreign URL has: %v", err)
	}
}

// FuzzWindowsLayer wants every tar unpacked, or refused with a class of error, and nothing outside of drive C:.
func FuzzWindowsLayer(f *testing.F) {
	f.Add(tarOf(f, tar.Header{Name: "Files/a"}, tar.Header{Name: "Files/A", Typeflag: tar.TypeSymlink, Linkname: `C:\x`}, tar.Header{Name: "Hives/b"}))
	f.Add(tarOf(f, tar.Header{Name: "Files/.wh.a", PAXRecords: map[string]string{"MSWINDOWS.fileattr": "6"}}))
	f.Fuzz(func(t *testing.T, tarball []byte) {
		s := newTarScanner(bytes.NewReader(tarball))
		s.layout = newWindowsLayout()
		for range 1000 {
			e, err := s.next()
			if err != nil {
				return
			}
			if e.path == ".." || strings.HasPrefix(e.path, "../") || strings.HasPrefix(e.path, "/") {
				t.Fatalf("%q is outside of the drive", e.path)
			}
		}
	})
}
