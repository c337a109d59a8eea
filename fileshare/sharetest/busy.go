package sharetest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"
)

// testBusy: requests that are at work at once neither wait for each other for good nor
// see what never was, and both sides end with the same tree.
func testBusy(t *testing.T, f *fixture) {
	const workers, names = 8, 6
	expected := []errno{eNOENT, eEXIST, eSTALE}
	if f.backend.NoReplace != "" {
		expected = append(expected, eACCES)
	}
	dirs := []uint64{root, f.mkdir(root, "one").node, f.mkdir(root, "two").node}
	var wg sync.WaitGroup
	end := time.Now().Add(time.Second)
	for w := range uint64(workers) {
		wg.Go(func() {
			c := &client{t: t, h: f.h, unique: (w + 1) << 32}
			r := rand.New(rand.NewPCG(w, 1))
			for time.Now().Before(end) {
				c.anything(r, dirs, func() string { return fmt.Sprint("f", r.IntN(names)) }, expected)
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("requests wait for each other")
	}
	for i, name := range []string{".", "one", "two"} {
		var guest, host []string
		for _, e := range f.list(dirs[i]) {
			if e.name != "." && e.name != ".." {
				guest = append(guest, e.name)
			}
		}
		entries, err := os.ReadDir(f.path(name))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			host = append(host, e.Name())
		}
		slices.Sort(guest)
		slices.Sort(host)
		if !slices.Equal(guest, host) {
			t.Errorf("%s: the guest lists %q, the host %q", name, guest, host)
		}
	}
}

// anything does one thing to a name; expected are errors that others' requests may cause.
func (c *client) anything(r *rand.Rand, dirs []uint64, name func() string, expected []errno) {
	dir := dirs[r.IntN(len(dirs))]
	var err error
	switch r.IntN(5) {
	case 0:
		var b []byte
		if b, err = c.ask(opCreate, dir, oRDWR, sIFREG|0o644, 0, 0, name()); err == nil {
			node, h := u64(b), u64(b[128:])
			c.write(node, h, 0, "text", 0)
			if got := c.read(node, h, 0, 10); got != "text" {
				c.t.Errorf("read %q", got)
			}
			c.release(node, h)
			c.tell(opForget, node, uint64(1))
		}
	case 1:
		_, err = c.ask(opUnlink, dir, name())
	case 2:
		_, err = c.ask(opRename, dir, dirs[r.IntN(len(dirs))], name(), name())
	case 3:
		h := u64(c.must(opOpendir, dir, 0, 0))
		for _, e := range c.readdir(opReaddirplus, dir, h, 0, 1<<16) {
			if e.node != 0 {
				c.tell(opForget, e.node, uint64(1))
			}
		}
		c.must(opReleasedir, dir, h, 0, 0, uint64(0))
	case 4:
		var b []byte
		if b, err = c.ask(opLookup, dir, name()); err == nil {
			if _, failed := c.ask(opGetattr, u64(b), 0, 0, uint64(0)); failed != nil && !slices.Contains(expected, failed.(errno)) {
				c.t.Errorf("getattr: %v", failed)
			}
			c.tell(opForget, u64(b), uint64(1))
		}
	}
	if e, ok := err.(errno); err != nil && (!ok || !slices.Contains(expected, e)) {
		c.t.Errorf("%v", err)
	}
}
