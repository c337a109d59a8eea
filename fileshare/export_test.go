//go:build linux

package fileshare

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/fileshare/posix"
	"github.com/paddock-run/paddock/fileshare/session"
)

// guestMounts makes dir what the guest has mounted at path of any share.
func (r *rig) guestMounts(t *testing.T, path, dir string) {
	t.Helper()
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(fd)
	fs, err := posix.New(posix.Config{Root: fd})
	must(t, err)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mounts == nil {
		r.mounts = map[string]*session.Server{}
	}
	r.mounts[path] = session.New(fs)
}

// outward shares a folder of the host's, as for a bidirectional mount.
func (r *rig) outward(t *testing.T) (host, guest string) {
	t.Helper()
	host = filepath.Join(r.dir, "out")
	must(t, os.MkdirAll(filepath.Join(host, "at", "deep"), 0o755))
	must(t, os.WriteFile(filepath.Join(host, "at", "below"), nil, 0o644))
	must(t, os.WriteFile(filepath.Join(host, "file"), nil, 0o644))
	must(t, os.Symlink("at", filepath.Join(host, "link")))
	must(t, os.Symlink("/", filepath.Join(host, "up")))
	return host, r.mountShare(t, Share{ID: "out", HostPath: host, FollowMounts: true})
}

func (r *rig) source(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(r.dir, "source")
	must(t, os.MkdirAll(filepath.Join(dir, "sub"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "f"), []byte("of the guest"), 0o644))
	return dir
}

func TestExport(t *testing.T) {
	r := newRig(t)
	host, guest := r.outward(t)
	source := r.source(t)
	r.guestMounts(t, "at", source)
	ctx := r.ctx(t)
	before := statOf(t, guest+"/at")
	must(t, r.srv.Export(ctx, Export{ID: "e1", ShareID: "out", HostPath: host, Path: "at", Mount: 7}))

	if got, err := os.ReadFile(host + "/at/f"); err != nil || string(got) != "of the guest" {
		t.Errorf("the node reads %q, %v", got, err)
	}
	must(t, os.WriteFile(host+"/at/sub/new", []byte("of the node"), 0o600))
	if got, err := os.ReadFile(source + "/sub/new"); err != nil || string(got) != "of the node" {
		t.Errorf("the guest reads %q, %v", got, err)
	}
	var fs unix.Statfs_t
	must(t, unix.Statfs(host+"/at", &fs))
	if want := int64(unix.ST_NOSUID | unix.ST_NODEV); int64(fs.Flags)&want != want {
		t.Errorf("mount flags %#x, want nosuid and nodev", fs.Flags)
	}
	// The guest's kernel must find its mount point as it was, or it would drop its mount.
	after := statOf(t, guest+"/at")
	if after.Ino != before.Ino {
		t.Errorf("the guest sees inode %d at the mount point, and saw %d", after.Ino, before.Ino)
	}
	if _, err := os.Stat(guest + "/at/below"); err != nil {
		t.Errorf("the guest does not see what is below its own mount: %v", err)
	}
	if ids, err := r.srv.Exports(ctx); err != nil || len(ids) != 1 || ids[0] != "e1" {
		t.Errorf("exports %v, %v", ids, err)
	}
	for range 2 {
		must(t, r.srv.Unexport(ctx, "e1"))
	}
	if _, err := os.Stat(host + "/at/below"); err != nil {
		t.Errorf("the node's own folder is not back: %v", err)
	}
	if ids, err := r.srv.Exports(ctx); err != nil || len(ids) != 0 {
		t.Errorf("exports %v, %v", ids, err)
	}
}

func TestExportGoesOnAfterALostStream(t *testing.T) {
	r := newRig(t)
	host, _ := r.outward(t)
	r.guestMounts(t, "", r.source(t))
	must(t, r.srv.Export(r.ctx(t), Export{ID: "root", ShareID: "out", HostPath: host}))
	f, err := os.Open(host + "/f")
	must(t, err)
	defer f.Close()
	r.mu.Lock()
	last := r.last
	r.mu.Unlock()
	must(t, last.Close())
	buf := make([]byte, 2)
	waitFor(t, "read on", func() error {
		_, err := f.ReadAt(buf, 0)
		return err
	})
	if string(buf) != "of" {
		t.Errorf("read %q", buf)
	}
}

func TestExportRefuses(t *testing.T) {
	r := newRig(t)
	host, _ := r.outward(t)
	source := r.source(t)
	elsewhere := filepath.Join(r.dir, "elsewhere")
	must(t, os.Mkdir(elsewhere, 0o755))
	for _, c := range []struct {
		name string
		e    Export
	}{
		{"above the share", Export{ID: "e", ShareID: "out", HostPath: host, Path: "../elsewhere"}},
		{"an absolute path", Export{ID: "e", ShareID: "out", HostPath: host, Path: "/etc"}},
		{"a path that is not clean", Export{ID: "e", ShareID: "out", HostPath: host, Path: "at/./deep"}},
		{"a link", Export{ID: "e", ShareID: "out", HostPath: host, Path: "link"}},
		{"through a link", Export{ID: "e", ShareID: "out", HostPath: host, Path: "link/deep"}},
		{"through a link to the root", Export{ID: "e", ShareID: "out", HostPath: host, Path: "up/tmp"}},
		{"a place that is not there", Export{ID: "e", ShareID: "out", HostPath: host, Path: "none"}},
		{"a folder on a file", Export{ID: "e", ShareID: "out", HostPath: host, Path: "file"}},
		{"a file on a folder", Export{ID: "e", ShareID: "out", HostPath: host, Path: "at", IsFile: true}},
		{"an unknown share", Export{ID: "e", ShareID: "other", HostPath: host, Path: "at"}},
		{"another folder than the share's", Export{ID: "e", ShareID: "out", HostPath: elsewhere, Path: ""}},
		{"a name that is none", Export{ID: "../e", ShareID: "out", HostPath: host, Path: "at"}},
	} {
		r.guestMounts(t, c.e.Path, source)
		if err := r.srv.Export(r.ctx(t), c.e); err == nil {
			t.Errorf("%s was mounted", c.name)
		}
	}
	if mounts, err := os.ReadFile("/proc/self/mountinfo"); err != nil || strings.Contains(string(mounts), guestMountType+" paddock:"+r.dir) {
		t.Errorf("something is mounted (%v):\n%s", err, mounts)
	}
}

// TestExportOutlivesNothing: what a killed server leaves goes with it, and so
// does all with Stop.
func TestExportOutlivesNothing(t *testing.T) {
	r := newRig(t)
	host, _ := r.outward(t)
	r.guestMounts(t, "at", r.source(t))
	e := Export{ID: "e1", ShareID: "out", HostPath: host, Path: "at", Mount: 7}
	must(t, r.srv.Export(r.ctx(t), e))
	r.crash(t)
	if _, err := os.Stat(host + "/at/below"); err != nil {
		t.Errorf("the node's own folder is not back: %v", err)
	}
	must(t, r.srv.Export(r.ctx(t), e))
	if _, err := os.Stat(host + "/at/f"); err != nil {
		t.Errorf("after another export: %v", err)
	}
	must(t, r.procs.Stop(context.Background(), "pod"))
	if _, err := os.Stat(host + "/at/below"); err != nil {
		t.Errorf("the node's own folder is not back: %v", err)
	}
}
