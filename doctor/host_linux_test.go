package doctor

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/paddock-run/paddock/config"
)

// Every miss names its fix, and what is there is found.
func TestMissesNameTheirFix(t *testing.T) {
	empty := t.TempDir()
	cfg, err := config.Load("")
	if err != nil {
		t.Fatal(err)
	}
	cfg.VM.QEMU = "no-such-hypervisor"
	cfg.GuestDir = empty
	cfg.CNI = config.CNI{ConfDir: empty, BinDirs: []string{empty}}
	cfg.Root = filepath.Join(empty, "not", "yet")
	results := Run(context.Background(), HostChecks(cfg, func(context.Context) (string, string) {
		return "tcg", "the probe did not end"
	}))
	want := map[string]Level{"hypervisor": Fail, "accelerator": Note, "guest image": Fail, "CNI plugins": Note, "CNI configuration": Note}
	for _, r := range results {
		level, named := want[r.Name]
		if named && r.Level != level {
			t.Errorf("%s: %v, want %v (%s)", r.Name, r.Level, level, r.Detail)
		}
		if named && r.Fix == "" {
			t.Errorf("%s names no fix", r.Name)
		}
		delete(want, r.Name)
	}
	for name := range want {
		t.Errorf("no check %q", name)
	}

	for _, name := range []string{"vmlinux", "initrd.img"} {
		if err := os.WriteFile(filepath.Join(empty, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if r := guestImage(empty); r.Level != OK {
		t.Errorf("guest image: %v %s", r.Level, r.Detail)
	}
}

func TestChangeNotices(t *testing.T) {
	limit := filepath.Join(t.TempDir(), "max_user_groups")
	for _, tc := range []struct {
		on   bool
		text string
		want Level
	}{{true, "128\n", Note}, {true, "1024\n", OK}, {false, "128\n", OK}, {true, "many\n", Note}} {
		if err := os.WriteFile(limit, []byte(tc.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if r := changeNotices(tc.on, limit); r.Level != tc.want || r.Level == Note && r.Fix == "" {
			t.Errorf("%+v: %+v", tc, r)
		}
	}
	if r := changeNotices(true, limit+".none"); r.Level != Note {
		t.Errorf("without the limit: %+v", r)
	}
}
