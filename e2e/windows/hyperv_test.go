package windows

import (
	"os"
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
	os.Exit(m.Run())
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
	s := standIn(t)
	bin := filepath.Join(t.TempDir(), "hyperv.test.exe")
	if err := wine.Build(bin, "./podsandbox/vm/hyperv", true); err != nil {
		t.Fatal(err)
	}
	args := []string{"-test.v"}
	if run := os.Getenv("PADDOCK_RUN"); run != "" {
		args = append(args, "-test.run="+run)
	}
	cmd := wine.Command(t.Context(), []string{
		"PADDOCK_STANDIN=" + s.Address(), "PADDOCK_GUEST_DIR=" + Path(filepath.Join(wine.Repo, "build", "guest")),
	}, bin, args...)
	cmd.Dir = filepath.Join(wine.Repo, "podsandbox", "vm", "hyperv")
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}
