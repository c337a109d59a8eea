package sharetest

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"time"
)

func u64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

const readLock, writeLock, unlock = 0, 1, 2

// lock makes struct fuse_lk_in.
func lock(handle, owner, start, end uint64, typ, flags int) []byte {
	return fields(handle, owner, start, end, typ, 77, flags, 0)
}

func testLocks(t *testing.T, f *fixture) {
	e, h := f.create(root, "f", 0)
	f.must(opSetlk, e.node, lock(h, 1, 0, 9, writeLock, 0))
	f.fails([]errno{eAGAIN}, opSetlk, e.node, lock(h, 2, 9, 20, readLock, 0))
	f.must(opSetlk, e.node, lock(h, 2, 10, 20, readLock, 0))
	b := f.must(opGetlk, e.node, lock(h, 3, 5, 30, writeLock, 0))
	if u64(b) != 0 || u64(b[8:]) != 9 || binary.LittleEndian.Uint32(b[16:]) != writeLock {
		t.Errorf("in the way: %x", b)
	}
	if b := f.must(opGetlk, e.node, lock(h, 3, 50, 60, writeLock, 0)); binary.LittleEndian.Uint32(b[16:]) != unlock {
		t.Errorf("in the way of a free range: %x", b)
	}
	f.must(opSetlk, e.node, lock(h, 1, 5, 9, unlock, 0))
	f.must(opSetlk, e.node, lock(h, 2, 5, 9, readLock, 0))
	f.must(opFlush, e.node, h, 0, 0, uint64(1)) // its owner closes the file
	f.must(opSetlk, e.node, lock(h, 3, 0, 4, writeLock, 0))
	const flock, all = 1, ^uint64(0) >> 1
	f.must(opSetlk, e.node, lock(h, 4, 0, all, writeLock, flock)) // which knows nothing of the others
	other := f.open(e.node, oRDWR)
	f.fails([]errno{eAGAIN}, opSetlk, e.node, lock(other, 5, 0, all, writeLock, flock))
	f.must(opRelease, e.node, h, 0, 2, uint64(4))
	f.must(opSetlk, e.node, lock(other, 5, 0, all, writeLock, flock))
	f.fails([]errno{eINVAL}, opSetlk, e.node, lock(other, 5, 9, 0, writeLock, 0))
	f.fails([]errno{eINVAL}, opSetlk, e.node, lock(other, 5, 0, 9, 7, 0))
	f.release(e.node, other)
}

func testLockWaits(t *testing.T, f *fixture) {
	e, h := f.create(root, "f", 0)
	f.must(opSetlk, e.node, lock(h, 1, 0, 9, writeLock, 0))
	wait := func(unique, owner uint64) chan error {
		got := make(chan error, 1)
		c := &client{t: f.t, h: f.h}
		go func() {
			_, err := c.askAs(unique, opSetlkw, e.node, lock(h, owner, 0, 9, writeLock, 0))
			got <- err
		}()
		return got
	}
	first, second := wait(1001, 2), wait(1003, 3)
	select {
	case err := <-first:
		t.Fatalf("did not wait: %v", err)
	case err := <-second:
		t.Fatalf("did not wait: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	f.tell(opInterrupt, 0, uint64(1001))
	within(t, first, eINTR)
	f.must(opSetlk, e.node, lock(h, 1, 0, 9, unlock, 0))
	within(t, second, nil)
	f.release(e.node, h)
}

func within(t *testing.T, got chan error, want error) {
	t.Helper()
	select {
	case err := <-got:
		if err != want {
			t.Errorf("%v, want %v", err, want)
		}
	case <-time.After(10 * time.Second):
		t.Errorf("still waits; want %v", want)
	}
}

// testMetadata: owner and mode are the guest's.
func testMetadata(t *testing.T, f *fixture) {
	e, h := f.create(root, "f", 0)
	if e.mode != sIFREG|0o644 || e.uid != 1000 || e.gid != 2000 {
		t.Errorf("made %+v", e)
	}
	if d := f.mkdir(root, "d"); d.mode != sIFDIR|0o755 || d.uid != 1000 || d.gid != 2000 {
		t.Errorf("made %+v", d)
	}
	b, err := f.setattr(e.node, setMode, 0, 0o4711, 0, 0, 0)
	if err != nil || readAttr(b[16:]).mode != sIFREG|0o4711 {
		t.Errorf("%v, %o", err, readAttr(b[16:]).mode)
	}
	f.must(opWrite, e.node, h, uint64(0), 1, 4, uint64(0), 0, 0, []byte("x")) // by who may not keep set-id bits
	if a := f.getattr(e.node); a.mode != sIFREG|0o711 {
		t.Errorf("after a write: %o", a.mode)
	}
	if b, err := f.setattr(e.node, setUID|setGID, 0, 0, 7, 8, 0); err != nil || readAttr(b[16:]).uid != 7 || readAttr(b[16:]).gid != 8 {
		t.Errorf("%v, %+v", err, readAttr(b[16:]))
	}
	f.release(e.node, h)
	if got := f.lookup(root, "f"); got.mode != sIFREG|0o711 || got.uid != 7 {
		t.Errorf("%+v", got)
	}
}

func testXattrs(t *testing.T, f *fixture) {
	f.put("f", "")
	n := f.lookup(root, "f").node
	f.fails([]errno{eNODATA}, opGetxattr, n, 100, 0, "user.a")
	f.must(opSetxattr, n, 5, 0, "user.a", []byte("value"))
	f.must(opSetxattr, n, 0, 0, "user.empty")
	f.fails([]errno{eEXIST}, opSetxattr, n, 1, 1, "user.a", []byte("x"))
	f.fails([]errno{eNODATA}, opSetxattr, n, 1, 2, "user.b", []byte("x"))
	if got := string(f.must(opGetxattr, n, 100, 0, "user.a")); got != "value" {
		t.Errorf("%q", got)
	}
	if got := f.must(opGetxattr, n, 0, 0, "user.a"); binary.LittleEndian.Uint32(got) != 5 {
		t.Errorf("its size: %x", got)
	}
	f.fails([]errno{34}, opGetxattr, n, 2, 0, "user.a")
	names := bytes.Split(bytes.TrimRight(f.must(opListxattr, n, 1000, 0), "\x00"), []byte{0})
	if !slices.ContainsFunc(names, func(b []byte) bool { return string(b) == "user.empty" }) {
		t.Errorf("%q", names)
	}
	f.must(opRemovexattr, n, "user.a")
	f.fails([]errno{eNODATA}, opRemovexattr, n, "user.a")
}

func testLinks(t *testing.T, f *fixture) {
	f.put("v1/f", "one")
	f.put("v2/f", "two")
	for _, text := range []string{"v1", "../../etc/passwd", "/", strings.Repeat("l", 4095)} {
		l := readEntry(f.must(opSymlink, root, "l", text))
		if l.mode&sIFMT != sIFLNK || l.size != uint64(len(text)) {
			t.Errorf("%+v", l)
		}
		if got := string(f.must(opReadlink, l.node)); got != text {
			t.Errorf("%q, want %q", got, text)
		}
		f.fails([]errno{eNOTDIR}, opLookup, l.node, "f") // not followed here
		f.fails([]errno{40, eINVAL}, opOpen, l.node, 0, 0)
		f.must(opUnlink, root, "l")
	}
	f.must(opSymlink, root, "..data", "v1")
	f.must(opSymlink, root, "..data_tmp", "v2")
	f.must(opRename, root, uint64(root), "..data_tmp", "..data")
	if got := string(f.must(opReadlink, f.lookup(root, "..data").node)); got != "v2" {
		t.Errorf("%q", got)
	}
	f.fails([]errno{eINVAL}, opReadlink, f.lookup(root, "v1").node)
}
