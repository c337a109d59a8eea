package leakcheck

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestFinds leaves one thing of each kind that needs no privilege, and wants each to be told.
func TestFinds(t *testing.T) {
	dir := t.TempDir()
	scope := Scope{Dirs: []string{dir}, LeaseDir: filepath.Join(dir, "leases"), IDs: func() []string { return []string{"sandbox-1"} }}
	before, err := Take(scope)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(scope.LeaseDir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"leases/10.0.0.2", "leases/lock", "vm-sandbox-1.sock", "daemon.log"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("sleep", "60")
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()

	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	err = Check(ctx, scope, before)
	if err == nil {
		t.Fatal("nothing was found")
	}
	for _, want := range []string{"address lease: 10.0.0.2", "file: " + dir + "/vm-sandbox-1.sock", "sleep 60"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("not told: %s\nin: %v", want, err)
		}
	}
	for _, not := range []string{"lock", "daemon.log"} {
		if strings.Contains(err.Error(), not) {
			t.Errorf("told %s, which is nothing left: %v", not, err)
		}
	}
}

func TestIsPodRule(t *testing.T) {
	for line, want := range map[string]bool{
		"-A POSTROUTING -s 10.213.4.7/32 -j CNI-0123":                     true,
		":CNI-0123 - [0:0]":                                               true,
		":CNI-HOSTPORT-DNAT - [0:0]":                                      false,
		"-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT": false,
		`-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: \"x\" id: \"y\"" -j CNI-DN-12`: true,
		":PREROUTING ACCEPT [12:34]": false,
		"*nat":                       false,
	} {
		if got := isPodRule(line); got != want {
			t.Errorf("isPodRule(%q) = %t, want %t", line, got, want)
		}
	}
}
