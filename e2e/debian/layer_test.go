package debian

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// TestMerge makes packages with dpkg-deb and looks at the layer made of them.
func TestMerge(t *testing.T) {
	first := deb(t, "first", map[string]string{
		"bin/tool": "one", "usr/lib/data": "x", "usr/share/doc/first/README": "no", "usr/share/big/file": "no", "etc/conf": "first",
	})
	second := deb(t, "second", map[string]string{"usr/bin/other": "two", "etc/conf": "second"})
	var buf bytes.Buffer
	m := merger{out: tar.NewWriter(&buf), seen: map[string]bool{}, without: append(slices.Clone(neverRead), "usr/share/big")}
	if err := m.merged(); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{first, second} {
		if err := m.add(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.out.Close(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for r := tar.NewReader(&buf); ; {
		hdr, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if hdr.Typeflag == tar.TypeReg {
			content, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprintf("%s=%s", hdr.Name, content))
		}
		if hdr.Typeflag == tar.TypeSymlink {
			got = append(got, hdr.Name+"->"+hdr.Linkname)
		}
	}
	slices.Sort(got)
	want := []string{
		"bin->usr/bin", "etc/conf=first", "lib->usr/lib", "lib64->usr/lib64", "sbin->usr/sbin",
		"usr/bin/other=two", "usr/bin/tool=one", "usr/lib/data=x",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the layer holds %q, want %q", got, want)
	}
}

func deb(t *testing.T, name string, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	files["DEBIAN/control"] = fmt.Sprintf("Package: %s\nVersion: 1\nArchitecture: all\nMaintainer: a <a@example.org>\nDescription: x\n", name)
	for file, content := range files {
		path := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("dpkg-deb", "--build", dir, dir+".deb").CombinedOutput(); err != nil {
		t.Fatalf("dpkg-deb: %v: %s", err, out)
	}
	return dir + ".deb"
}
