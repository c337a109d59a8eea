//go:build linux

package posix

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/guest/sharechange"
)

// TestCrowd: a client that knows many inodes is asked to forget some, and can know no more than the bound.
func TestCrowd(t *testing.T) {
	const most = 40
	dir := t.TempDir()
	root, err := unix.Open(dir, unix.O_PATH, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(root)
	b := NewBudget(20)
	b.nodes = most
	fs, err := New(Config{Root: root, Budget: b})
	if err != nil {
		t.Fatal(err)
	}
	defer fs.Close()
	asked := make(chan sharechange.Change, most)
	fs.Notify(func(c sharechange.Change) { asked <- c })
	refused := 0
	var last fuse.EntryOut
	for i := range 2 * most {
		name := fmt.Sprint(i)
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		var out fuse.EntryOut
		switch s := fs.Lookup(nil, &fuse.InHeader{NodeId: fuse.FUSE_ROOT_ID}, name, &out); s {
		case fuse.OK:
			last = out
		case fuse.Status(unix.ENFILE):
			refused++
		default:
			t.Fatal(s)
		}
	}
	if want := 2*most - (most - 1); refused != want || b.Known() != most {
		t.Errorf("%d were refused, want %d; %d are known", refused, want, b.Known())
	}
	select {
	case c := <-asked:
		if c.Kind != sharechange.Crowded {
			t.Errorf("told of %v", c.Kind)
		}
	case <-time.After(5 * time.Second):
		t.Error("the client was not asked to forget anything")
	}
	fs.Forget(last.NodeId, 1)
	var out fuse.EntryOut
	if s := fs.Lookup(nil, &fuse.InHeader{NodeId: fuse.FUSE_ROOT_ID}, fmt.Sprint(2*most-1), &out); !s.Ok() {
		t.Errorf("after one was forgotten: %v", s)
	}
}
