package sharetest

import (
	"encoding/binary"
	"io"
	"log"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/paddock-run/paddock/fileshare/session"
)

func testInit(t *testing.T, f *fixture) {
	b := f.hello()
	u32 := func(at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
	if len(b) != 64 || u32(0) != 7 || u32(4) > 37 || u32(20) != session.MaxWrite {
		t.Errorf("FUSE_INIT: %x", b)
	}
	// Locks, O_TRUNC and umask are the server's, files are read anew when they have changed, and directories come with attributes.
	const wanted = 1<<1 | 1<<3 | 1<<6 | 1<<10 | 1<<12 | 1<<13
	if u32(12)&wanted != wanted {
		t.Errorf("flags %#x lack %#x", u32(12), wanted&^u32(12))
	}
	f.fails([]errno{5, 71}, opInit, 0, 8, 0, 0, 0, make([]byte, 48))
}

// testProbe: the client's kernel learns that there is no polling from a file that the directory has not (guest/agent/fusepump).
func testProbe(t *testing.T, f *fixture) {
	e := f.lookup(root, ".go-fuse-epoll-hack")
	h := f.open(e.node, 0)
	f.fails([]errno{38}, opPoll, e.node, h, uint64(1), 0, 0)
	f.release(e.node, h)
	f.tell(opForget, e.node, uint64(1))
	if left := f.list(root); len(left) != 2 {
		t.Errorf("listed %v", left)
	}
}

func testData(t *testing.T, f *fixture) {
	f.put("d/f", "of the host")
	d := f.lookup(root, "d")
	e := f.lookup(d.node, "f")
	if d.mode&sIFMT != sIFDIR || e.mode&sIFMT != sIFREG || e.size != 11 || e.ino == 0 || e.ino == d.ino {
		t.Errorf("%+v in %+v", e, d)
	}
	h := f.open(e.node, oRDWR)
	if got := f.read(e.node, h, 3, 100); got != "the host" {
		t.Errorf("read %q", got)
	}
	if got := f.read(e.node, h, 11, 100); got != "" {
		t.Errorf("read %q at the end", got)
	}
	f.write(e.node, h, 7, "guest", 0)
	if got := f.get("d/f"); got != "of the guest" {
		t.Errorf("the host has %q", got)
	}
	f.must(opFsync, e.node, h, 0, 0)
	f.must(opFlush, e.node, h, 0, 0, uint64(5))
	if a := f.getattr(e.node); a.size != 12 || a.ino != e.ino {
		t.Errorf("%+v", a)
	}
	big := strings.Repeat("0123456789abcdef", session.MaxWrite/16)
	f.write(e.node, h, 100, big, 0)
	if got := f.read(e.node, h, 100, session.MaxWrite); got != big {
		t.Errorf("%d bytes came back as %d others", len(big), len(got))
	}
	f.release(e.node, h)
	f.fails([]errno{eSTALE, eBADF}, opRead, e.node, h, uint64(0), 1, 0, uint64(0), 0, 0)
	ro := f.open(e.node, 0)
	f.fails([]errno{eBADF}, opWrite, e.node, ro, uint64(0), 1, 0, uint64(0), 0, 0, []byte("x"))
	f.must(opFsync, e.node, ro, 0, 0)
	f.release(e.node, ro)
	f.fails([]errno{eNOENT}, opLookup, root, "nothing")
	f.fails([]errno{eNOTDIR}, opLookup, e.node, "f")
	f.fails([]errno{eISDIR}, opOpen, d.node, 0, 0)
}

func testCreate(t *testing.T, f *fixture) {
	e, h := f.create(root, "new", oEXCL)
	f.write(e.node, h, 0, "first", 0)
	f.fails([]errno{eEXIST}, opCreate, root, oEXCL|oRDWR, sIFREG|0o644, 0, 0, "new")
	again, h2 := f.create(root, "new", 0)
	if again.node != e.node || again.size != 5 {
		t.Errorf("opened %+v, which is %+v", again, e)
	}
	truncated, h3 := f.create(root, "new", oTRUNC)
	if truncated.size != 0 || f.get("new") != "" {
		t.Errorf("O_TRUNC left %d bytes, and the host %q", truncated.size, f.get("new"))
	}
	for _, h := range []uint64{h, h2, h3} {
		f.release(e.node, h)
	}
	f.put("new", "again")
	f.release(e.node, f.open(e.node, oWRONLY|oTRUNC))
	if got := f.get("new"); got != "" {
		t.Errorf("the host has %q", got)
	}
	made := readEntry(f.must(opMknod, root, sIFREG|0o600, 0, 0, 0, "node"))
	if made.mode&sIFMT != sIFREG || made.size != 0 {
		t.Errorf("%+v", made)
	}
	f.fails([]errno{eEXIST}, opMknod, root, sIFREG|0o600, 0, 0, 0, "node")
}

func testAppend(t *testing.T, f *fixture) {
	e, h := f.create(root, "log", 0)
	f.write(e.node, h, 0, "guest\n", oAPPEND)
	host, err := os.OpenFile(f.path("log"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	if _, err := host.WriteString("host\n"); err != nil {
		t.Fatal(err)
	}
	f.write(e.node, h, 6, "guest\n", oAPPEND) // whose kernel has not heard of the host's line
	if got := f.get("log"); got != "guest\nhost\nguest\n" {
		t.Errorf("%q", got)
	}
	f.release(e.node, h)
}

// Bits of fuse_setattr_in.valid.
const (
	setMode, setUID, setGID, setSize = 1, 2, 4, 8
	setATime, setMTime               = 16, 32
)

func testTruncate(t *testing.T, f *fixture) {
	f.put("f", "0123456789")
	e := f.lookup(root, "f")
	b, err := f.setattr(e.node, setSize, 4, 0, 0, 0, 0)
	if err != nil || readAttr(b[16:]).size != 4 || f.get("f") != "0123" {
		t.Errorf("%v, the host has %q", err, f.get("f"))
	}
	if _, err := f.setattr(e.node, setSize, 6, 0, 0, 0, 0); err != nil || f.get("f") != "0123\x00\x00" {
		t.Errorf("%v, the host has %q", err, f.get("f"))
	}
	if _, err := f.setattr(root, setSize, 0, 0, 0, 0, 0); err == nil {
		t.Error("a directory was truncated")
	}
	h := f.open(e.node, oRDWR)
	f.must(opFallocate, e.node, h, uint64(0), uint64(100), 0, 0)
	if a := f.getattr(e.node); a.size != 100 {
		t.Errorf("%+v", a)
	}
	f.release(e.node, h)
}

func testTimes(t *testing.T, f *fixture) {
	f.put("f", "")
	e := f.lookup(root, "f")
	want := time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC)
	if _, err := f.setattr(e.node, setATime|setMTime, 0, 0, 0, 0, uint64(want.Unix())); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(f.path("f"))
	if err != nil || !info.ModTime().Equal(want) {
		t.Errorf("%v, %v; want %v", info.ModTime(), err, want)
	}
	b := f.must(opGetattr, e.node, 0, 0, uint64(0))
	if got := binary.LittleEndian.Uint64(b[16+32:]); got != uint64(want.Unix()) {
		t.Errorf("told %d", got)
	}
}

func testUnlinked(t *testing.T, f *fixture) {
	e, h := f.create(root, "f", 0)
	f.write(e.node, h, 0, "still there", 0)
	f.must(opUnlink, root, "f")
	f.fails([]errno{eNOENT}, opLookup, root, "f")
	if _, err := os.Stat(f.path("f")); !os.IsNotExist(err) {
		t.Errorf("the host: %v", err)
	}
	if got := f.read(e.node, h, 0, 100); got != "still there" {
		t.Errorf("read %q", got)
	}
	f.write(e.node, h, 0, "STILL", 0)
	if a := f.getattr(e.node); a.size != 11 {
		t.Errorf("%+v", a)
	}
	if _, err := f.setattr(e.node, setSize, 2, 0, 0, 0, 0); err != nil {
		t.Error(err)
	}
	other, h2 := f.create(root, "f", oEXCL)
	if other.node == e.node {
		t.Error("another file of the name is the same node")
	}
	f.release(other.node, h2)
	f.release(e.node, h)
}

func testForget(t *testing.T, f *fixture) {
	f.put("f", "x")
	e := f.lookup(root, "f")
	if again := f.lookup(root, "f"); again.node != e.node {
		t.Errorf("%+v and %+v", e, again)
	}
	f.tell(opForget, e.node, uint64(1))
	f.getattr(e.node)
	entry, failed := f.h.Relookup(e.node)
	if failed != 0 || readEntry(entry).node != e.node {
		t.Errorf("%d, %x", failed, entry)
	}
	f.tell(opForget, e.node, uint64(1))
	f.getattr(e.node)
	f.tell(opForget, e.node, uint64(7)) // more than there are
	f.fails([]errno{eSTALE}, opGetattr, e.node, 0, 0, uint64(0))
	if _, failed := f.h.Relookup(e.node); failed != int32(eSTALE) {
		t.Errorf("a forgotten node looked up: %d", failed)
	}
	f.tell(opForget, root, uint64(1<<40))
	f.getattr(root)
}

// testSuccessor: a server that is new gives no number of the former's to another file.
func testSuccessor(t *testing.T, f *fixture) {
	f.put("f", "x")
	e := f.lookup(root, "f")
	h := f.open(e.node, 0)
	time.Sleep(20 * time.Millisecond) // which a process takes to start, at the least
	next := client{t: t, h: f.backend.Open(t, f.dir, false)}
	next.hello()
	other := next.lookup(root, "f")
	oh := next.open(other.node, 0)
	if other.node == e.node || oh == h {
		t.Errorf("node %d and handle %d came again", e.node, h)
	}
	next.fails([]errno{eSTALE}, opGetattr, e.node, 0, 0, uint64(0))
	next.fails([]errno{eSTALE}, opRead, e.node, h, uint64(0), 1, 0, uint64(0), 0, 0)
	next.release(other.node, oh)
	f.release(e.node, h)
}

func testStatFS(t *testing.T, f *fixture) {
	b := f.must(opStatfs, root)
	if len(b) != 80 || binary.LittleEndian.Uint64(b) == 0 || binary.LittleEndian.Uint32(b[40:]) == 0 || binary.LittleEndian.Uint32(b[44:]) != 255 {
		t.Errorf("%x", b)
	}
}

// testHostile sends what no kernel does.
func testHostile(t *testing.T, f *fixture) {
	f.put("f", "x")
	e := f.lookup(root, "f")
	h := f.open(e.node, 0)
	for _, node := range []uint64{0, 99, 1 << 60} {
		for _, op := range []uint32{opLookup, opUnlink, opRmdir} {
			f.fails([]errno{eSTALE, eINVAL}, op, node, "f")
		}
		f.fails([]errno{eSTALE, eINVAL}, opGetattr, node, 0, 0, uint64(0))
		f.fails([]errno{eSTALE, eINVAL}, opOpen, node, 0, 0)
	}
	f.fails([]errno{eSTALE, eBADF, eINVAL}, opRead, root, h, uint64(0), 1, 0, uint64(0), 0, 0)           // another node's
	f.fails([]errno{eSTALE, eBADF, eINVAL}, opReaddir, e.node, h+1000, uint64(0), 1, 0, uint64(0), 0, 0) // nobody's
	log.SetOutput(io.Discard)                                                                            // of go-fuse, which tells of each
	defer log.SetOutput(os.Stderr)
	for op := range uint32(52) {
		if op == opInit || op == 38 { // which are not about nodes
			continue
		}
		for size := range 80 { // each cut off somewhere
			out := make([]byte, answerRoom)
			if n, _ := f.h.Handle(message(op, 1<<40, root, make([]byte, size)), out); n != 0 && n < 16 {
				t.Fatalf("opcode %d with %d bytes: an answer of %d", op, size, n)
			}
		}
	}
	if got := f.read(e.node, h, 0, 10); got != "x" {
		t.Errorf("read %q afterwards", got)
	}
	f.release(e.node, h)
}
