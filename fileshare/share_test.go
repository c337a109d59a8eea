//go:build linux

package fileshare

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/podsandbox/vm"
)

func TestHostEditsAreSeen(t *testing.T) {
	r := newRig(t)
	host, guest := r.share(t, "s", false)
	read := func(want string) func() error {
		return func() error {
			got, err := os.ReadFile(guest + "/f")
			if err == nil && string(got) != want {
				return errors.New("read " + string(got))
			}
			return err
		}
	}
	must(t, os.WriteFile(host+"/f", []byte("one"), 0o644))
	must(t, read("one")())
	must(t, os.WriteFile(host+"/f", []byte("two!"), 0o644))
	waitFor(t, "edit in place", read("two!"))
	must(t, os.WriteFile(host+"/new", []byte("three"), 0o644))
	must(t, os.Rename(host+"/new", host+"/f"))
	waitFor(t, "replacement", read("three"))
	must(t, os.Remove(host+"/f"))
	waitFor(t, "removal", func() error {
		if _, err := os.Stat(guest + "/f"); !errors.Is(err, os.ErrNotExist) {
			return errors.New("still there")
		}
		return nil
	})
}

// TestAtomicWriter does what kubelet does to a configMap.
func TestAtomicWriter(t *testing.T) {
	r := newRig(t)
	host, guest := r.share(t, "cm", true)
	for i, want := range []string{"a", "b", "c"} {
		ts := "..ts" + want
		must(t, os.Mkdir(filepath.Join(host, ts), 0o755))
		must(t, os.WriteFile(filepath.Join(host, ts, "key"), []byte(want), 0o644))
		must(t, os.Symlink(ts, host+"/..data_tmp"))
		must(t, os.Rename(host+"/..data_tmp", host+"/..data"))
		if i == 0 {
			must(t, os.Symlink("..data/key", host+"/key"))
		}
		start := time.Now()
		got, err := os.ReadFile(guest + "/key")
		must(t, err)
		if string(got) != want {
			t.Errorf("after swap %d read %q, want %q", i, got, want)
		}
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("read took %v", d)
		}
	}
}

func TestSingleFile(t *testing.T) {
	r := newRig(t)
	host := filepath.Join(r.dir, "hosts")
	must(t, os.WriteFile(host, []byte("127.0.0.1 localhost\n"), 0o644))
	before := statOf(t, host)
	guest := r.mount(t, "hosts", host, false)
	f, err := os.OpenFile(guest, os.O_WRONLY|os.O_APPEND, 0)
	must(t, err)
	_, err = f.WriteString("10.0.0.1 a\n")
	must(t, errors.Join(err, f.Close()))
	got, err := os.ReadFile(host)
	must(t, err)
	if want := "127.0.0.1 localhost\n10.0.0.1 a\n"; string(got) != want {
		t.Errorf("host file holds %q, want %q", got, want)
	}
	if after := statOf(t, host); after.Ino != before.Ino || statOf(t, guest).Ino != before.Ino {
		t.Error("not the same inode")
	}
	must(t, os.WriteFile(guest, []byte("x"), 0o644))
	if got, _ := os.ReadFile(host); string(got) != "x" {
		t.Errorf("truncating write: %q", got)
	}
}

func TestReadOnly(t *testing.T) {
	r := newRig(t)
	host := filepath.Join(r.dir, "ro")
	must(t, os.Mkdir(host, 0o755))
	must(t, os.WriteFile(host+"/f", []byte("data"), 0o666))
	guest := r.mount(t, "ro", host, true)
	// The guest's kernel would refuse by itself; a guest that does not must be refused too.
	must(t, unix.Mount("", guest, "", unix.MS_REMOUNT, ""))
	f := guest + "/f"
	for what, try := range map[string]func() error{
		"open":     func() error { _, err := os.OpenFile(f, os.O_RDWR, 0); return err },
		"create":   func() error { _, err := os.Create(guest + "/new"); return err },
		"truncate": func() error { return os.Truncate(f, 0) },
		"chmod":    func() error { return os.Chmod(f, 0o600) },
		"chown":    func() error { return os.Chown(f, 1, 1) },
		"unlink":   func() error { return os.Remove(f) },
		"mkdir":    func() error { return os.Mkdir(guest+"/d", 0o755) },
		"mknod":    func() error { return unix.Mknod(guest+"/n", unix.S_IFREG|0o600, 0) },
		"symlink":  func() error { return os.Symlink("f", guest+"/l") },
		"link":     func() error { return os.Link(f, guest+"/l") },
		"rename":   func() error { return os.Rename(f, guest+"/g") },
		"xattr":    func() error { return unix.Setxattr(f, "user.a", []byte("b"), 0) },
		"utimes":   func() error { return os.Chtimes(f, time.Now(), time.Now()) },
	} {
		wantErrno(t, what, try(), unix.EROFS)
	}
	if got, err := os.ReadFile(f); err != nil || string(got) != "data" {
		t.Errorf("read: %q, %v", got, err)
	}
}

func TestAddRefuses(t *testing.T) {
	r := newRig(t)
	ctx := r.ctx(t)
	fifo := filepath.Join(r.dir, "fifo")
	must(t, unix.Mkfifo(fifo, 0o600))
	for _, tc := range []Share{
		{ID: "dev", HostPath: "/dev/null"}, {ID: "fifo", HostPath: fifo},
		{ID: "gone", HostPath: r.dir + "/nothing"}, {ID: "../x", HostPath: r.dir}, {ID: "", HostPath: r.dir},
	} {
		if _, err := r.srv.Add(ctx, tc); err == nil {
			t.Errorf("Add(%+v) succeeded", tc)
		} else {
			t.Log(err)
		}
	}
	must(t, r.srv.Remove(ctx, "never-added"))
}

func TestDaemonRestart(t *testing.T) {
	r := newRig(t)
	_, guest := r.share(t, "s", false)
	must(t, os.WriteFile(guest+"/f", []byte("x"), 0o644))
	again, err := New(Config{StateDir: filepath.Join(r.dir, "state")})
	must(t, err)
	s, err := again.Open(r.ctx(t), "pod")
	must(t, err)
	defer s.Close()
	if _, err := s.Add(r.ctx(t), Share{ID: "s", HostPath: filepath.Join(r.dir, "host-s")}); err != nil {
		t.Errorf("adding the same share again: %v", err)
	}
	if _, err := s.Add(r.ctx(t), Share{ID: "s", HostPath: "/usr"}); err == nil {
		t.Error("the id was taken over for another path")
	}
	if ids, err := again.List(r.ctx(t)); err != nil || len(ids) != 1 || ids[0] != "pod" {
		t.Errorf("List: %v, %v", ids, err)
	}
	if _, err := again.Open(r.ctx(t), "other"); !errors.Is(err, vm.ErrNotFound) {
		t.Errorf("Open of no server: %v", err)
	}
	must(t, again.Stop(r.ctx(t), "other"))
}

// TestServerDies shows that the end of a server is an I/O error for one pod, not a hang.
func TestServerDies(t *testing.T) {
	r := newRig(t)
	_, guest := r.share(t, "s", false)
	must(t, os.WriteFile(guest+"/f", []byte("x"), 0o644))
	must(t, r.procs.Stop(r.ctx(t), "pod"))
	select {
	case <-r.srv.Exited():
	case <-time.After(10 * time.Second):
		t.Fatal("Exited is not closed")
	}
	_, err := os.ReadFile(guest + "/other")
	wantErrno(t, "read after the server's end", err, unix.EIO)
}

// TestBusyUnmount unmounts with a file open and a request under way.
func TestBusyUnmount(t *testing.T) {
	r := newRig(t)
	_, guest := r.share(t, "s", false)
	f, err := os.Create(guest + "/f")
	must(t, err)
	defer f.Close()
	must(t, unix.Flock(int(f.Fd()), unix.LOCK_EX))
	waiting := make(chan error)
	go func() {
		g, err := os.OpenFile(guest+"/f", os.O_RDWR, 0)
		if err == nil {
			waiting <- nil
			err = unix.Flock(int(g.Fd()), unix.LOCK_EX)
		}
		waiting <- err
	}()
	must(t, <-waiting)
	must(t, r.shares.Unmount("s"))
	if err := <-waiting; err == nil {
		t.Error("a lock request outlived the mount")
	}
	if _, err := f.WriteString("x"); err == nil {
		t.Error("a write succeeded after the unmount")
	}
}

func TestBulkData(t *testing.T) {
	r := newRig(t)
	host, guest := r.share(t, "s", false)
	data := bytes.Repeat([]byte("0123456789abcdef"), 5<<20/16+1)
	must(t, os.WriteFile(guest+"/f", data, 0o644))
	onHost, err := os.ReadFile(host + "/f")
	must(t, err)
	inGuest, err := os.ReadFile(guest + "/f")
	must(t, err)
	if !bytes.Equal(data, onHost) || !bytes.Equal(data, inGuest) {
		t.Error("data differ")
	}
}
