//go:build linux

package reaper

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// child is set in a process that is a subreaper of its own, so that the
// reaper cannot take children from the test framework.
const child = "PADDOCK_REAPER_TEST"

func TestReaper(t *testing.T) {
	if os.Getenv(child) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestReaper$", "-test.v")
		cmd.Env = append(os.Environ(), child+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	r := Start()
	t.Run("many at once", func(t *testing.T) { testMany(t, r) })
	t.Run("orphan", func(t *testing.T) { testOrphan(t, r) })
	t.Run("signal", func(t *testing.T) { testSignal(t, r) })
}

func spawn(t *testing.T, r *Reaper, script string, out *os.File) *Process {
	t.Helper()
	p, err := r.Spawn("/bin/sh", []string{"sh", "-c", script}, &syscall.ProcAttr{Files: []uintptr{0, out.Fd(), 2}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func testMany(t *testing.T, r *Reaper) {
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			p, err := r.Spawn("/bin/sh", []string{"sh", "-c", fmt.Sprint("exit ", i)}, &syscall.ProcAttr{Files: []uintptr{0, 1, 2}})
			if err != nil {
				t.Error(err)
				return
			}
			<-p.Done()
			if p.Exit().Code != uint32(i) || p.Exit().Signal != 0 {
				t.Errorf("exit %d told as %v", i, p.Exit())
			}
		})
	}
	all.Wait()
	if _, err := r.Spawn("/no/such/program", []string{"x"}, &syscall.ProcAttr{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing program: %v", err)
	}
}

// testOrphan follows a grandchild that outlives its parent.
func testOrphan(t *testing.T, r *Reaper) {
	since := time.Now()
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := spawn(t, r, "(sleep 0.2; exit 9) & echo $!", out)
	out.Close()
	<-p.Done()
	text := make([]byte, 32)
	n, _ := in.Read(text)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text[:n])))
	if err != nil {
		t.Fatal(err)
	}
	orphan := r.Follow(pid, since)
	select {
	case <-orphan.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("the end of the orphan was not told")
	}
	if orphan.Exit().Code != 9 {
		t.Errorf("exit %v", orphan.Exit())
	}
}

func testSignal(t *testing.T, r *Reaper) {
	p := spawn(t, r, "exec sleep 1000", os.Stderr)
	if err := r.Signal(p, unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if p.Exit().Signal != 15 || p.Exit().Code != 143 {
		t.Errorf("exit %v", p.Exit())
	}
	if err := r.Signal(p, unix.SIGTERM); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("signal a reaped process: %v", err)
	}
}
