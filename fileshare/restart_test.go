//go:build linux

package fileshare

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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

// TestFoldersOutliveACrash: a working directory in the share stays one, also below a
// folder that the guest has renamed, and who watches a folder goes on to hear of it.
func TestFoldersOutliveACrash(t *testing.T) {
	r := newRig(t)
	host := filepath.Join(r.dir, "host")
	must(t, os.MkdirAll(host+"/old/e", 0o755))
	must(t, os.WriteFile(host+"/old/e/f", []byte("content"), 0o644))
	guest := r.mountShare(t, Share{ID: "s", HostPath: host, Watch: true})
	must(t, os.Rename(guest+"/old", guest+"/d"))
	must(t, os.Mkdir(guest+"/removed", 0o755))
	shell := exec.Command("sh", "-ec", `cd "$1"; while read name; do cat $name; ls -d ../e; echo; done`, "sh", guest+"/d/e")
	shell.Stderr = os.Stderr
	in, err := shell.StdinPipe()
	must(t, err)
	out, err := shell.StdoutPipe()
	must(t, err)
	must(t, shell.Start())
	lines := bufio.NewReader(out)
	ask := func() {
		t.Helper()
		_, err := fmt.Fprintln(in, "f")
		must(t, err)
		for _, want := range []string{"content../e\n", "\n"} {
			if got, err := lines.ReadString('\n'); err != nil || got != want {
				t.Fatalf("the shell says %q, %v; want %q", got, err, want)
			}
		}
	}
	ask()
	n := watch(t, guest+"/d")
	must(t, os.Remove(guest+"/removed"))
	for round := range 2 {
		r.crash(t)
		ask()
		name := fmt.Sprint("new", round)
		waitFor(t, "an event", func() error { // the watch is set in the background
			must(t, os.WriteFile(host+"/d/"+name, nil, 0o644))
			time.Sleep(50 * time.Millisecond)
			if events, _ := n.read(t); !slices.Contains(events, "d:create "+name) && !slices.Contains(events, "d:close_write "+name) {
				return fmt.Errorf("events %q", events)
			}
			return nil
		})
	}
	noted, err := os.ReadFile(journalPath(r.srv.(*server).dir, "s"))
	if err != nil || len(noted) == 0 || bytes.Contains(noted, []byte("removed")) || bytes.Contains(noted, []byte("old")) {
		t.Errorf("noted is %q, %v: want folders that are there, and no others", noted, err)
	}
	must(t, in.Close())
	must(t, shell.Wait())
}
