//go:build linux

package fileshare

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// volume writes a folder as kubelet's atomic writer does.
type volume struct {
	dir   string
	round int
}

// put writes the next content: the round's number.
func (v *volume) put() error {
	v.round++
	next, last := fmt.Sprintf("..%d", v.round), fmt.Sprintf("..%d", v.round-1)
	return errors.Join(
		os.Mkdir(filepath.Join(v.dir, next), 0o755),
		os.WriteFile(filepath.Join(v.dir, next, "key"), fmt.Append(nil, v.round), 0o644),
		os.Symlink(next, v.dir+"/..data_tmp"),
		os.Rename(v.dir+"/..data_tmp", v.dir+"/..data"),
		os.RemoveAll(filepath.Join(v.dir, last)),
	)
}

// TestReadDuringSwap: a path through a link that the host swaps, removing what it led
// to, leads to the old file or to the new one.
func TestReadDuringSwap(t *testing.T) {
	for _, cached := range []time.Duration{time.Second, time.Nanosecond} {
		for _, watched := range []bool{false, true} {
			t.Run(fmt.Sprintf("names cached for %v, watched=%v", cached, watched), func(t *testing.T) {
				serverEnv = []string{cacheTimeEnv + "=" + cached.String()}
				t.Cleanup(func() { serverEnv = nil })
				readDuringSwap(t, watched)
			})
		}
	}
}

func readDuringSwap(t *testing.T, watched bool) {
	r := newRig(t)
	v := volume{dir: filepath.Join(r.dir, "host")}
	must(t, os.Mkdir(v.dir, 0o755))
	must(t, v.put())
	must(t, os.Symlink("..data/key", v.dir+"/key"))
	guest := r.mountShare(t, Share{ID: "s", HostPath: v.dir, ReadOnly: true, Watch: watched})
	began := time.Now()
	_, err := os.ReadFile(guest + "/key")
	must(t, err)
	once := time.Since(began)
	both := [2]int{} // how often the old and the new one was read
	for range 300 {
		if rand.N(2) == 0 { // the old one's names are known
			_, err := os.ReadFile(guest + "/key")
			must(t, err)
		}
		was, done := v.round, make(chan error, 1)
		go func() {
			time.Sleep(rand.N(once))
			done <- v.put()
		}()
		got, err := os.ReadFile(guest + "/key")
		must(t, <-done)
		switch {
		case err != nil:
			t.Fatalf("in round %d: %v", v.round, err)
		case string(got) == fmt.Sprint(was):
			both[0]++
		case string(got) == fmt.Sprint(v.round):
			both[1]++
		default:
			t.Fatalf("in round %d: read %q", v.round, got)
		}
	}
	t.Logf("the old one was read %d times, the new one %d times", both[0], both[1])
}
