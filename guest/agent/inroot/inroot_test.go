//go:build linux

package inroot

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(root, "a/file"), "inside")
	write(filepath.Join(dir, "file"), "outside")
	links := map[string]string{"rel": "a/file", "abs": "/a/file", "up": "../file", "out": filepath.Join(dir, "file"), "loop": "loop"}
	for name, to := range links {
		if err := os.Symlink(to, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(root, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"a/file": "inside", "/a/file": "inside", "rel": "inside", "abs": "inside", "../a/file": "inside",
		"up": "", "out": "", "../file": "", "loop": "", "fifo": "", "a": "", "missing": "",
	} {
		got, err := ReadFile(root, path, 6)
		if string(got) != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v; want %q", path, got, err, want)
		}
	}
	if _, err := ReadFile(root, "a/file", 5); err == nil {
		t.Error("a file larger than the limit was read")
	}
}
