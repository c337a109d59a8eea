//go:build linux

package fileshare

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// FuzzTarget has a guest name any place: it must lie in the share.
func FuzzTarget(f *testing.F) {
	dir := f.TempDir()
	share := filepath.Join(dir, "share")
	if err := os.MkdirAll(filepath.Join(share, "a", "b"), 0o755); err != nil {
		f.Fatal(err)
	}
	for name, to := range map[string]string{"up": "..", "a/root": "/", "a/b/self": ".", "a/sibling": "../../outside"} {
		if err := os.Symlink(to, filepath.Join(share, name)); err != nil {
			f.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "outside"), 0o755); err != nil {
		f.Fatal(err)
	}
	for _, path := range []string{"", "a", "a/b", "..", "../outside", "a/../..", "/", "up", "up/outside", "a/root/tmp", "a/b/self", "a/sibling", "a//b", "\x00", "a/."} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		e := Export{ID: "e", ShareID: "s", HostPath: share, Path: path}
		if checkExport(e) != nil {
			return
		}
		target, err := openTarget(e)
		if err != nil {
			return
		}
		defer target.close()
		got, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(target.fd))
		if err != nil {
			t.Fatal(err)
		}
		if got != share && !strings.HasPrefix(got, share+"/") {
			t.Errorf("%q leads to %s", path, got)
		}
	})
}
