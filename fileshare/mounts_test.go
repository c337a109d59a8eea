//go:build linux

package fileshare

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// mountTmpfs mounts a file system with one file in a folder of the host's.
func mountTmpfs(t *testing.T, dir string) {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o755))
	must(t, unix.Mount("none", dir, "tmpfs", 0, ""))
	t.Cleanup(func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	must(t, os.WriteFile(filepath.Join(dir, "f"), []byte("inside"), 0o644))
}

func TestLaterMounts(t *testing.T) {
	r := newRig(t)
	host := filepath.Join(r.dir, "host")
	mountTmpfs(t, filepath.Join(host, "before"))
	must(t, os.Mkdir(filepath.Join(host, "after"), 0o755))
	private := r.mountShare(t, Share{ID: "private", HostPath: host})
	follows := r.mountShare(t, Share{ID: "follows", HostPath: host, FollowMounts: true})
	mountTmpfs(t, filepath.Join(host, "after"))
	for path, want := range map[string]bool{
		private + "/before/f": true, private + "/after/f": false,
		follows + "/before/f": true, follows + "/after/f": true,
	} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s: %v, want it to be there: %v", path, err, want)
		}
	}
}

func TestTopReadOnly(t *testing.T) {
	r := newRig(t)
	host := filepath.Join(r.dir, "host")
	mountTmpfs(t, filepath.Join(host, "below"))
	must(t, os.WriteFile(filepath.Join(host, "f"), nil, 0o644))
	guest := r.mountShare(t, Share{ID: "top", HostPath: host, TopReadOnly: true})
	wantErrno(t, "create above", os.WriteFile(guest+"/new", nil, 0o644), unix.EROFS)
	wantErrno(t, "truncate above", os.Truncate(guest+"/f", 0), unix.EROFS)
	wantErrno(t, "chmod above", os.Chmod(guest+"/f", 0o600), unix.EROFS)
	wantErrno(t, "remove above", os.Remove(guest+"/f"), unix.EROFS)
	must(t, os.WriteFile(guest+"/below/new", []byte("x"), 0o644))
	// The host's own mount stays as it was.
	must(t, os.WriteFile(filepath.Join(host, "new"), nil, 0o644))
	if _, err := r.srv.Add(r.ctx(t), Share{ID: "both", HostPath: host, TopReadOnly: true, FollowMounts: true}); err == nil {
		t.Error("TopReadOnly together with FollowMounts was accepted")
	}
}
