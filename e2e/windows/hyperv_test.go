package windows

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/paddock-run/paddock/e2e/windows/hcs"
)

var wine *Wine

func TestMain(m *testing.M) {
	var err error
	if wine, err = FindWine(); err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
	code := m.Run()
	if err := wine.Stop(); err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
	}
	os.Exit(code)
}

// standIn starts the stand-in service; what it refuses is in the log of a failed test.
func standIn(t *testing.T) *hcs.Server {
	t.Helper()
	s, err := hcs.Start(wine.Prefix(), func(format string, args ...any) { t.Logf(time.Now().Format("15:04:05.000 ")+format, args...) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if left := s.Left(); len(left) > 0 {
			t.Errorf("left behind: %q", left)
		}
		s.Close()
	})
	return s
}

// hyperv.Host passes the conformance suite of virtual machines, and its own tests.
func TestHyperV(t *testing.T) {
	runTests(t, standIn(t), "podsandbox/vm/hyperv")
}

// hns.Network passes the conformance suite of networks, with the CNI project's plugins.
func TestHNS(t *testing.T) {
	s := standIn(t)
	if err := errors.Join(s.ServeNetworks(), s.MakeNetwork("pods", subnet, gateway), buildPlugins(filepath.Join(wine.Repo, "build", "windows", "cni"))); err != nil {
		t.Fatal(err)
	}
	runTests(t, s, "network/hns")
}

// buildPlugins compiles the CNI project's plugins for Windows.
func buildPlugins(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	const plugins = "github.com/containernetworking/plugins/plugins/"
	return buildTool(".", dir+"/", plugins+"main/windows/win-bridge", plugins+"ipam/host-local")
}

// buildTool compiles another module's programs for Windows, from the module in dir.
func buildTool(dir, out string, pkgs ...string) error {
	cmd := exec.Command("go", append([]string{"build", "-o", out}, pkgs...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS=windows", "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %q: %w: %s", pkgs, err, text)
	}
	return nil
}

// runTests runs a package's tests under Wine with the stand-in.
func runTests(t *testing.T, s *hcs.Server, pkg string) {
	t.Helper()
	bin := filepath.Join(t.TempDir(), filepath.Base(pkg)+".test.exe")
	if err := wine.Build(bin, "./"+pkg, true); err != nil {
		t.Fatal(err)
	}
	args := []string{"-test.v"}
	if run := os.Getenv("PADDOCK_RUN"); run != "" {
		args = append(args, "-test.run="+run)
	}
	cmd := wine.Command(t.Context(), []string{
		"PADDOCK_STANDIN=" + s.Address(), "PADDOCK_GUEST_DIR=" + Path(filepath.Join(wine.Repo, "build", "guest")),
		"PADDOCK_CNI_DIR=" + Path(filepath.Join(wine.Repo, "build", "windows", "cni")),
	}, bin, args...)
	cmd.Dir = filepath.Join(wine.Repo, pkg)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}
