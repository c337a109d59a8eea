//go:build linux

package fileshare

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Size of TestLargeTree's tree: several times the descriptors that the server keeps.
const (
	largeDirs  = 200
	largeFiles = 300
)

// TestLargeTree walks a large tree, and then has git make and check an index of a part of it.
func TestLargeTree(t *testing.T) {
	if testing.Short() {
		t.Skip("makes 60,000 files")
	}
	r := newRig(t)
	host := filepath.Join(r.dir, "host")
	must(t, os.Mkdir(host, 0o755))
	must(t, unix.Mount("none", host, "tmpfs", 0, "")) // a disk's journal would take most of the time
	t.Cleanup(func() { must(t, unix.Unmount(host, unix.MNT_DETACH)) })
	guest := r.mount(t, "s", host, false)
	step := time.Now()
	log := func(what string) {
		t.Logf("%s: %v", what, time.Since(step).Round(time.Millisecond))
		step = time.Now()
	}
	for d := range largeDirs {
		dir := fmt.Sprintf("%s/%d", host, d)
		must(t, os.Mkdir(dir, 0o755))
		for f := range largeFiles {
			must(t, unix.Mknod(fmt.Sprintf("%s/%d", dir, f), unix.S_IFREG|0o644, 0))
		}
	}
	log("made")
	out, err := exec.Command("sh", "-ec", "find "+guest+" -type f -size 0 -printf x | wc -c").CombinedOutput()
	if got := strings.TrimSpace(string(out)); err != nil || got != fmt.Sprint(largeDirs*largeFiles) {
		t.Errorf("find sees %s files (%v), want %d", got, err, largeDirs*largeFiles)
	}
	log("found")
	s := r.srv.(*server)
	held, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.pid(t)))
	must(t, err)
	if len(held) > 17000 {
		t.Errorf("the server holds %d descriptors", len(held))
	}
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("no git")
	}
	repo := filepath.Join(guest, "0")
	script := `cd ` + repo + `
		export HOME=/nonexistent GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
		for i in 1 2; do mkdir sub$i; for j in $(seq 300); do echo $i$j > sub$i/$j; done; done
		git -c init.defaultBranch=main init -q . && git add -A && git commit -qm all && git status --porcelain && git fsck --no-progress`
	if out, err := exec.Command("sh", "-ec", script).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("git: %v: %s", err, out)
	}
	log("git")
}
