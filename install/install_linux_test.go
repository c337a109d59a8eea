package install

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func source(t *testing.T, program string) Source {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"paddock": program, "guest/vmlinux": "kernel", "guest/initrd.img": "initrd"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return Source{Program: filepath.Join(dir, "paddock"), GuestDir: filepath.Join(dir, "guest"), Config: []byte("logLevel: 1\n")}
}

func TestInstall(t *testing.T) {
	root, s := t.TempDir(), source(t, "one")
	if Check(root, s) == nil {
		t.Error("an empty node has it")
	}
	changed, err := Install(root, s)
	if err != nil || !Restarts(changed) {
		t.Fatalf("first: %v, %v", changed, err)
	}
	if err := Check(root, s); err != nil {
		t.Error(err)
	}
	for name, want := range map[string]string{
		"usr/local/bin/paddock": "one", "usr/local/lib/paddock/guest/vmlinux": "kernel", "etc/paddock/config.yaml": "logLevel: 1\n",
	} {
		if got, err := os.ReadFile(filepath.Join(root, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	unit, err := os.ReadFile(filepath.Join(root, wantsDir, "paddock.service"))
	if err != nil || !strings.Contains(string(unit), "ExecStart=/"+libDir+"/paddock serve") {
		t.Errorf("the unit: %q, %v", unit, err)
	}
	if again, err := Install(root, s); err != nil || len(again) != 0 {
		t.Errorf("again: %v, %v", again, err)
	}
	// The node's own configuration stays, another program replaces the one before.
	config := filepath.Join(root, configFile)
	if err := os.WriteFile(config, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	s2 := source(t, "two")
	if err := Check(root, s2); err == nil || !strings.Contains(err.Error(), "/usr/local/lib/paddock/paddock") {
		t.Errorf("another version is told as installed: %v", err)
	}
	changed, err = Install(root, s2)
	slices.Sort(changed)
	if err != nil || !slices.Equal(changed, []string{stampFile, libDir + "/paddock"}) {
		t.Errorf("update: %v, %v", changed, err)
	}
	if got, _ := os.ReadFile(config); string(got) != "mine" {
		t.Errorf("configuration %q", got)
	}
	left, err := filepath.Glob(filepath.Join(root, libDir, ".*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestInstallFails: nothing half-written takes the place of what was there.
func TestInstallFails(t *testing.T) {
	root, s := t.TempDir(), source(t, "one")
	if err := os.MkdirAll(filepath.Join(root, libDir, "paddock", "in the way"), 0o755); err != nil {
		t.Fatal(err)
	}
	changed, err := Install(root, s)
	if err == nil || Restarts(changed) {
		t.Errorf("%v, %v", changed, err)
	}
	if left, _ := filepath.Glob(filepath.Join(root, libDir, ".*")); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	if _, err := Install(root, Source{Program: "/nowhere", GuestDir: s.GuestDir}); err == nil {
		t.Error("no program is no error")
	}
}
