package sharetest

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// testNames: every name that Linux has as text comes back as it went in, whatever the host thinks of it.
func testNames(t *testing.T, f *fixture) {
	names := []string{"plain", "a b", "with:colon", `back\slash`, "what?", "*", `"quoted"`, "<>|", "trailing.", "trailing ", "...", "..data",
		"CON", "nul", "aux.txt", "\x01", "ünï©ode", "日本語", "🙂", strings.Repeat("n", 255)}
	for _, name := range names {
		e, h := f.create(root, name, oEXCL)
		f.write(e.node, h, 0, name, 0)
		f.release(e.node, h)
		if got := f.content(f.lookup(root, name).node); got != name {
			t.Errorf("%q holds %q", name, got)
		}
	}
	var listed []string
	for _, e := range f.list(root) {
		if e.name != "." && e.name != ".." {
			listed = append(listed, e.name)
		}
	}
	slices.Sort(names)
	slices.Sort(listed)
	if !slices.Equal(names, listed) {
		t.Errorf("listed %q, want %q", listed, names)
	}
	for _, name := range names {
		f.must(opUnlink, root, name)
	}
	if left, err := os.ReadDir(f.dir); err != nil || len(left) > 0 {
		t.Errorf("left on the host: %v, %v", left, err)
	}
}

// testNamesRefused: nothing that is more than one component reaches the host.
func testNamesRefused(t *testing.T, f *fixture) {
	f.put("d/f", "x")
	d := f.lookup(root, "d").node
	refused := []errno{eINVAL, eNOENT, eEXIST, eISDIR, eNOTEMPTY, 16, 36, 5}
	for _, name := range []string{"", ".", "..", "../d", "f/..", "/", "/etc", "d/f", strings.Repeat("n", 256), strings.Repeat("n", 5000)} {
		f.fails(refused, opLookup, d, name)
		f.fails(refused, opMkdir, d, 0o755, 0, name)
		f.fails(refused, opMknod, d, sIFREG|0o644, 0, 0, 0, name)
		f.fails(refused, opCreate, d, oRDWR, sIFREG|0o644, 0, 0, name)
		f.fails(append(refused, eOPNOTSUPP), opSymlink, d, name, "text")
		f.fails(refused, opUnlink, d, name)
		f.fails(refused, opRmdir, d, name)
		f.fails(refused, opRename, d, d, "f", name)
		f.fails(refused, opRename, d, d, name, "g")
		f.fails(append(refused, ePERM), opLink, d, f.lookup(d, "f").node, name)
	}
	if got := f.get("d/f"); got != "x" {
		t.Errorf("%q", got)
	}
}

func testDirectories(t *testing.T, f *fixture) {
	d := f.mkdir(root, "d")
	if d.mode&sIFMT != sIFDIR {
		t.Errorf("%+v", d)
	}
	f.fails([]errno{eEXIST}, opMkdir, root, 0o755, 0, "d")
	e, h := f.create(d.node, "f", 0)
	f.release(e.node, h)
	f.fails([]errno{eNOTEMPTY}, opRmdir, root, "d")
	f.fails([]errno{eISDIR, ePERM}, opUnlink, root, "d")
	f.fails([]errno{eNOTDIR}, opRmdir, d.node, "f")
	dh := f.must(opOpendir, d.node, 0, 0)
	f.must(opFsyncdir, d.node, dh[:8], 0, 0)
	f.must(opReleasedir, d.node, dh[:8], 0, 0, uint64(0))
	f.must(opUnlink, d.node, "f")
	f.must(opRmdir, root, "d")
	f.fails([]errno{eNOENT}, opLookup, root, "d")
	f.fails([]errno{eNOENT, eSTALE}, opMkdir, d.node, 0o755, 0, "in what is gone")
}

// list reads a whole directory.
func (f *fixture) list(node uint64) []dirent {
	f.t.Helper()
	h := u64(f.must(opOpendir, node, 0, 0))
	defer f.must(opReleasedir, node, h, 0, 0, uint64(0))
	return f.listFrom(opReaddir, node, h, 0, 512)
}

func (f *fixture) listFrom(opcode uint32, node, h, offset uint64, size int) (all []dirent) {
	f.t.Helper()
	for {
		some := f.readdir(opcode, node, h, offset, size)
		if len(some) == 0 {
			return all
		}
		all, offset = append(all, some...), some[len(some)-1].offset
	}
}

func testReadDir(t *testing.T, f *fixture) {
	const files = 700
	want := map[string]bool{".": true, "..": true, "sub": true}
	for i := range files {
		name := fmt.Sprintf("file-%04d-%s", i, strings.Repeat("x", i%80))
		want[name] = true
		f.put("d/"+name, "")
	}
	f.put("d/sub/f", "")
	d := f.lookup(root, "d").node
	h := u64(f.must(opOpendir, d, 0, 0))
	for _, how := range []struct {
		opcode uint32
		size   int
	}{{opReaddir, 512}, {opReaddir, 1 << 16}, {opReaddirplus, 4096}} {
		all := f.listFrom(how.opcode, d, h, 0, how.size)
		seen := map[string]bool{}
		for _, e := range all {
			isDir := e.name == "." || e.name == ".." || e.name == "sub"
			if !want[e.name] || seen[e.name] || (e.typ == sIFDIR) != isDir || how.opcode == opReaddirplus && !strings.HasPrefix(e.name, ".") == (e.node == 0) {
				t.Errorf("%+v, seen before: %v", e, seen[e.name])
			}
			seen[e.name] = true
		}
		if len(all) != files+3 {
			t.Errorf("%d entries, want %d", len(all), files+3)
		}
		middle := all[len(all)/2]
		if rest := f.listFrom(how.opcode, d, h, middle.offset, how.size); len(rest) != len(all)-len(all)/2-1 || rest[0].name != all[len(all)/2+1].name {
			t.Errorf("after %+v: %d entries", middle, len(rest))
		}
	}
	f.must(opReleasedir, d, h, 0, 0, uint64(0))
}

func testRename(t *testing.T, f *fixture) {
	f.put("a", "a")
	f.put("b", "b")
	f.put("full/f", "")
	f.mkdir(root, "empty")
	moved := f.mkdir(root, "moved")
	a, b := f.lookup(root, "a"), f.lookup(root, "b")
	f.fails([]errno{eEXIST}, opRename2, root, uint64(root), 1, 0, "a", "b")
	f.fails([]errno{eINVAL, eOPNOTSUPP}, opRename2, root, uint64(root), 1<<5, 0, "a", "b")
	f.must(opRename, root, uint64(root), "a", "b")
	f.fails([]errno{eNOENT}, opLookup, root, "a")
	if got := f.lookup(root, "b"); got.node != a.node || f.get("b") != "a" || f.content(a.node) != "a" {
		t.Errorf("%+v, want %+v", got, a)
	}
	if h, err := f.ask(opOpen, b.node, 0, 0); err == nil { // a back end may have it still
		if got := f.read(b.node, u64(h), 0, 10); got != "b" {
			t.Errorf("the replaced file reads %q", got)
		}
		f.release(b.node, u64(h))
	} else if err != eSTALE {
		t.Errorf("opened the replaced file: %v", err)
	}
	f.fails([]errno{eNOTEMPTY, eEXIST}, opRename, root, uint64(root), "moved", "full")
	f.fails([]errno{eNOTDIR}, opRename, root, uint64(root), "moved", "b")
	f.fails([]errno{eISDIR}, opRename, root, uint64(root), "b", "moved")
	f.fails([]errno{eNOENT}, opRename, root, uint64(root), "nothing", "b")
	f.must(opRename, root, uint64(root), "moved", "empty")
	if got := f.lookup(root, "empty"); got.node != moved.node {
		t.Errorf("%+v, want %+v", got, moved)
	}
	f.must(opRename, root, uint64(root), "b", "b")
	if f.get("b") != "a" {
		t.Error("a file renamed to itself is another")
	}
}

// testRenameOverOpen: who has the replaced file open goes on with it.
func testRenameOverOpen(t *testing.T, f *fixture) {
	f.put("a", "a")
	f.put("b", "b")
	b := f.lookup(root, "b").node
	open := f.open(b, 0)
	f.must(opRename, root, uint64(root), "a", "b")
	if got := f.read(b, open, 0, 10); got != "b" || f.get("b") != "a" {
		t.Errorf("the replaced file reads %q", got)
	}
	f.release(b, open)
}

// testRenameTree: what the guest knows below a directory goes with it.
func testRenameTree(t *testing.T, f *fixture) {
	f.put("one/two/f", "deep")
	one := f.lookup(root, "one").node
	two := f.lookup(one, "two").node
	e := f.lookup(two, "f")
	other := f.mkdir(root, "other").node
	f.must(opRename, root, other, "one", "1")
	if got := f.content(e.node); got != "deep" {
		t.Errorf("%q", got)
	}
	f.must(opRename, two, uint64(root), "f", "g")
	if got := f.content(e.node); got != "deep" || f.get("g") != "deep" {
		t.Errorf("%q", got)
	}
	f.fails([]errno{eINVAL, 13, 16, 39}, opRename, other, two, "1", "in itself")
}

// testHostSwap: a node is the file that was looked up, or stale; never what has its name now.
func testHostSwap(t *testing.T, f *fixture) {
	f.put("d/f", "old")
	d := f.lookup(root, "d").node
	e := f.lookup(d, "f").node
	if err := os.Rename(f.path("d"), f.path("away")); err != nil {
		t.Fatal(err)
	}
	f.put("d/f", "new")
	if b, err := f.ask(opOpen, e, 0, 0); err == nil {
		if got := f.read(e, u64(b), 0, 10); got != "old" {
			t.Errorf("the node of the old file reads %q", got)
		}
		f.release(e, u64(b))
	} else if err != eSTALE {
		t.Errorf("opened the old file: %v", err)
	}
	if b, err := f.ask(opLookup, d, "f"); err == nil {
		if got := f.content(readEntry(b).node); got != "old" {
			t.Errorf("the old directory has %q", got)
		}
	} else if err != eSTALE {
		t.Errorf("looked up in the old directory: %v", err)
	}
	if got := f.content(f.lookup(f.lookup(root, "d").node, "f").node); got != "new" {
		t.Errorf("the new file reads %q", got)
	}
	if got := f.content(f.lookup(f.lookup(root, "away").node, "f").node); got != "old" {
		t.Errorf("the moved file reads %q", got)
	}
}

func testHardLinks(t *testing.T, f *fixture) {
	f.put("d/f", "x")
	d := f.lookup(root, "d").node
	e := f.lookup(d, "f")
	l := readEntry(f.must(opLink, root, e.node, "g"))
	if l.node != e.node || l.links != 2 || f.get("g") != "x" {
		t.Errorf("%+v of %+v", l, e)
	}
	f.fails([]errno{eEXIST}, opLink, root, e.node, "g")
	f.fails([]errno{ePERM, eNOTDIR}, opLink, root, d, "h")
	f.must(opUnlink, root, "g")
	if got := f.content(e.node); got != "x" {
		t.Errorf("%q", got)
	}
	f.must(opLink, root, e.node, "g")
	f.must(opUnlink, d, "f")
	if got := f.content(e.node); got != "x" {
		t.Errorf("%q", got)
	}
}

func testReadOnly(t *testing.T, f *fixture) {
	f.put("d/f", "x")
	ro := client{t: t, h: f.backend.Open(t, f.dir, true)}
	ro.hello()
	d := ro.lookup(root, "d").node
	e := ro.lookup(d, "f").node
	for _, flags := range []int{oWRONLY, oRDWR, oTRUNC} {
		ro.fails([]errno{eROFS}, opOpen, e, flags, 0)
	}
	ro.fails([]errno{eROFS}, opCreate, d, oRDWR, sIFREG|0o644, 0, 0, "g")
	ro.fails([]errno{eROFS}, opMknod, d, sIFREG|0o644, 0, 0, 0, "g")
	ro.fails([]errno{eROFS}, opMkdir, d, 0o755, 0, "g")
	ro.fails([]errno{eROFS}, opSymlink, d, "g", "text")
	ro.fails([]errno{eROFS}, opLink, d, e, "g")
	ro.fails([]errno{eROFS}, opUnlink, d, "f")
	ro.fails([]errno{eROFS}, opRmdir, root, "d")
	ro.fails([]errno{eROFS}, opRename, d, d, "f", "g")
	ro.fails([]errno{eROFS, eOPNOTSUPP}, opSetxattr, e, 1, 0, "user.x", []byte("v"))
	ro.fails([]errno{eROFS, eOPNOTSUPP}, opRemovexattr, e, "user.x")
	for _, valid := range []int{setMode, setUID, setSize, setMTime} {
		if _, err := ro.setattr(e, valid, 0, 0o600, 1, 1, 1); err != eROFS {
			t.Errorf("setattr %#x: %v", valid, err)
		}
	}
	h := ro.open(e, 0)
	if got := ro.read(e, h, 0, 10); got != "x" {
		t.Errorf("%q", got)
	}
	ro.fails([]errno{eROFS, eBADF}, opWrite, e, h, uint64(0), 1, 0, uint64(0), 0, 0, []byte("y"))
	ro.fails([]errno{eROFS, eBADF}, opFallocate, e, h, uint64(0), uint64(100), 0, 0)
	ro.release(e, h)
	if got := f.get("d/f"); got != "x" {
		t.Errorf("%q", got)
	}
}
