package leakcheck

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/paddock-run/paddock/e2e/cninet"
)

// TestFinds leaves one thing of each kind that needs no privilege, and wants each to be told.
func TestFinds(t *testing.T) {
	dir := t.TempDir()
	network := &cninet.Network{
		Bridge: "none0", LeaseDir: filepath.Join(dir, "leases"),
		Subnet4: netip.MustParsePrefix("10.213.0.0/24"), Subnet6: netip.MustParsePrefix("fd00:213:0::/64"),
	}
	scope := Scope{Dirs: []string{dir}, Network: network, IDs: func() []string { return []string{"sandbox-1"} }}
	before, err := Take(scope)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(network.LeaseDir, 0o755); err != nil {
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
	awaitArguments(t, cmd.Process.Pid)

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
	s := Scope{Network: &cninet.Network{
		Bridge: "pdk4", Subnet4: netip.MustParsePrefix("10.213.4.0/24"), Subnet6: netip.MustParsePrefix("fd00:213:4::/64"),
	}}
	for line, want := range map[string]bool{
		"-A POSTROUTING -s 10.213.4.7/32 -j CNI-0123":                                                    true,
		"-A CNI-DN-1 -p tcp -j DNAT --to-destination [fd00:213:4::7]:80":                                 true,
		`-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: \"pdk4\" id: \"y\"" -j CNI-DN-12`:  true,
		`-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: \"pdk44\" id: \"y\"" -j CNI-DN-12`: false,
		"-A POSTROUTING -s 10.213.44.7/32 -j CNI-0123":                                                   false,
		"-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT":                                false,
		":PREROUTING ACCEPT [12:34]":                                                                     false,
	} {
		if got := s.isPodRule(line); got != want {
			t.Errorf("isPodRule(%q) = %t, want %t", line, got, want)
		}
	}
}

// awaitArguments waits until the kernel shows a process's arguments, a moment after its exec.
func awaitArguments(t *testing.T, pid int) {
	t.Helper()
	for t.Context().Err() == nil {
		if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err != nil || len(line) > 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
}
