//go:build linux

package fileshare

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// crash kills the server and waits for the next.
func (r *rig) crash(t testing.TB) {
	t.Helper()
	must(t, unix.Kill(r.srv.(*server).pid(t), unix.SIGKILL))
	select {
	case <-r.srv.Restarted():
	case <-time.After(20 * time.Second):
		t.Fatal("the server was not started again")
	}
}

// TestServerRestarts kills the server under load: what is open fails with an
// error that says so, and everything opened later works, with what was written.
func TestServerRestarts(t *testing.T) {
	r := newRig(t)
	host, guest := r.share(t, "s", false)
	dir := guest + "/d/e"
	must(t, os.MkdirAll(dir, 0o755))
	work := startLoad(t, dir)
	for range 3 {
		work.goesOn(t)
		r.crash(t)
	}
	work.goesOn(t)
	if errno := work.end(t); errno != unix.ESTALE {
		t.Errorf("write to what was open: %v, want ESTALE", errno)
	}
	if got, err := os.ReadFile(host + "/d/e/held"); err != nil || string(got) != "written before" {
		t.Errorf("the host has %q, %v", got, err)
	}
	must(t, helper(t, "setlk", dir+"/held").Run()) // the lock is gone with the handle
}

// TestNothingFailsThatIsOpenedLater: reading programs that open files by path do not notice.
func TestNothingFailsThatIsOpenedLater(t *testing.T) {
	r := newRig(t)
	_, guest := r.share(t, "s", false)
	name := guest + "/a/b/c/f"
	must(t, os.MkdirAll(filepath.Dir(name), 0o755))
	must(t, os.WriteFile(name, []byte("x"), 0o644))
	stop, done := make(chan struct{}), make(chan error)
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if _, err := os.Stat(name); err != nil {
				done <- err
				return
			}
			if _, err := os.ReadDir(guest + "/a/b"); err != nil && errnoOf(err) != unix.ESTALE && errnoOf(err) != unix.EIO {
				done <- err
				return
			}
		}
	}()
	for range 3 {
		time.Sleep(100 * time.Millisecond)
		r.crash(t)
	}
	close(stop)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestServerRestartsWithTheDaemon: the server and the daemon end, and the next daemon makes both good.
func TestServerRestartsWithTheDaemon(t *testing.T) {
	r := newRig(t)
	_, guest := r.share(t, "s", false)
	must(t, os.WriteFile(guest+"/f", []byte("x"), 0o644))
	gone := filepath.Join(r.dir, "gone")
	must(t, os.Mkdir(gone, 0o755))
	lost := r.mount(t, "gone", gone, false)
	pid := r.srv.(*server).pid(t)
	must(t, r.srv.Close())
	must(t, unix.Kill(pid, unix.SIGKILL))
	must(t, os.Remove(gone))
	must(t, os.Mkdir(gone, 0o755)) // another folder of that name is another folder
	again, err := New(Config{StateDir: filepath.Join(r.dir, "state")})
	must(t, err)
	r.procs = again
	r.srv, err = again.Open(r.ctx(t), "pod")
	must(t, err)
	if got, err := os.ReadFile(guest + "/f"); err != nil || string(got) != "x" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := r.srv.Add(r.ctx(t), Share{ID: "s", HostPath: filepath.Join(r.dir, "host-s")}); err != nil {
		t.Errorf("adding the same share again: %v", err)
	}
	_, err = os.ReadDir(lost)
	if no := errnoOf(err); no != unix.EIO {
		t.Errorf("a share whose folder was replaced: %v, want EIO", err)
	}
	must(t, r.srv.Remove(r.ctx(t), "gone"))
}
