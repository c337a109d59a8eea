package logfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Kubelet renames the log while it is open and written; NTFS allows that only
// when every handle shares the file for deletion.
func TestRotationWhileOpen(t *testing.T) {
	dir := t.TempDir()
	path, record := filepath.Join(dir, "0.log"), filepath.Join(dir, "record")
	l, err := Create(path, record)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	write := func(line string) {
		t.Helper()
		if _, err := l.Append(Stdout, []byte(line+"\n"), at); err != nil {
			t.Fatal(err)
		}
	}
	has := func(file, line string, want bool) {
		t.Helper()
		data, err := os.ReadFile(file)
		if err != nil || strings.Contains(string(data), line) != want {
			t.Errorf("%s: %q, %v; want %q in it: %t", file, data, err, line, want)
		}
	}
	write("first")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatalf("rename while open: %v", err)
	}
	write("second") // kubelet has not asked for a new file yet
	has(path+".1", "second", true)
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	write("third")
	has(path, "third", true)
	has(path+".1", "third", false)
	if err := os.Remove(path); err != nil {
		t.Errorf("remove while open: %v", err)
	}
}
