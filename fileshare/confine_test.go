//go:build linux

package fileshare

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/paddock-run/paddock/guest/channel"
)

func serverPID(t testing.TB, r *rig) int {
	t.Helper()
	data, err := os.ReadFile(recordPath(filepath.Join(r.dir, "state", "pod")))
	must(t, err)
	var rec record
	must(t, json.Unmarshal(data, &rec))
	return rec.PID
}

// TestConfinement looks at a server process in service, thread by thread.
func TestConfinement(t *testing.T) {
	r := newRig(t)
	_, guest := r.share(t, "s", false)
	must(t, os.WriteFile(guest+"/f", []byte("x"), 0o644))
	pid := serverPID(t, r)
	root, err := os.ReadDir(fmt.Sprintf("/proc/%d/root", pid))
	must(t, err)
	if len(root) != 1 || root[0].Name() != "fd" {
		t.Errorf("root holds %v", root)
	}
	var kept uint64
	for _, c := range keptCapabilities {
		kept |= 1 << c
	}
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	must(t, err)
	for _, task := range tasks {
		status, err := os.ReadFile(task)
		if err != nil {
			continue // a thread that has ended
		}
		for _, want := range []string{"NoNewPrivs:\t1", "Seccomp:\t2"} {
			if !strings.Contains(string(status), want+"\n") {
				t.Errorf("%s: not %q", task, want)
			}
		}
		if cgoBuilt {
			continue
		}
		for _, set := range []string{"CapPrm", "CapEff"} {
			if want := fmt.Sprintf("%s:\t%016x\n", set, kept); !strings.Contains(string(status), want) {
				t.Errorf("%s: not %q in:\n%s", task, want, status)
			}
		}
	}
	if cgoBuilt {
		t.Log("capabilities not checked: they stay in a build with cgo, as for the race detector")
	}
	if len(tasks) < 2 && runtime.NumCPU() > 1 {
		t.Errorf("only %d threads seen", len(tasks))
	}
}

// TestServerEndsWithItsDirectory: a server whose state was removed is not left behind.
func TestServerEndsWithItsDirectory(t *testing.T) {
	r := newRig(t)
	must(t, os.RemoveAll(filepath.Join(r.dir, "state", "pod")))
	select {
	case <-r.srv.Exited():
	case <-time.After(20 * time.Second):
		t.Error("still running")
	}
}

// TestStreamIsReopened breaks a share's stream: the mount goes on.
func TestStreamIsReopened(t *testing.T) {
	r := newRig(t)
	_, guest := r.share(t, "s", false)
	f, err := os.Create(guest + "/f")
	must(t, err)
	defer f.Close()
	r.mu.Lock()
	broken := r.last
	r.mu.Unlock()
	must(t, channel.Abort(broken))
	waitFor(t, "write on a file opened before", func() error {
		_, err := f.WriteAt([]byte("after"), 0)
		return err
	})
	if got, err := os.ReadFile(guest + "/f"); err != nil || string(got) != "after" {
		t.Errorf("read %q, %v", got, err)
	}
}
