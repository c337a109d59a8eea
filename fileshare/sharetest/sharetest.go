// Package sharetest says what the back end of a share must do, whichever host it
// is for: the tests are the contract of session.Handler. They speak to it as the guest's
// kernel does, in FUSE's messages, and look at the files beside it as the
// host's programs do.
package sharetest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/paddock-run/paddock/fileshare/session"
)

// Backend is a back end to test.
type Backend struct {
	// Open serves a directory. What it makes ends with the test, and must have been given back then.
	Open func(t *testing.T, dir string, readOnly bool) session.Handler
	// What this host, or its stand-in, cannot do; the reason is the test's to tell.
	NoMetadata string // owners, modes and xattrs
	NoLinks    string // symlinks made by the guest
	NoReplace  string // a name given to another file while its own is open
}

// Run runs all tests.
func Run(t *testing.T, b Backend) {
	for _, tc := range []struct {
		name  string
		lacks string
		test  func(*testing.T, *fixture)
	}{
		{"Init", "", testInit},
		{"Probe", "", testProbe},
		{"Data", "", testData},
		{"Create", "", testCreate},
		{"Append", "", testAppend},
		{"Truncate", "", testTruncate},
		{"Times", "", testTimes},
		{"Names", "", testNames},
		{"NamesRefused", "", testNamesRefused},
		{"Directories", "", testDirectories},
		{"ReadDir", "", testReadDir},
		{"Rename", "", testRename},
		{"RenameOverOpen", b.NoReplace, testRenameOverOpen},
		{"RenameTree", "", testRenameTree},
		{"HostSwap", "", testHostSwap},
		{"Unlinked", "", testUnlinked},
		{"HardLinks", "", testHardLinks},
		{"Forget", "", testForget},
		{"Successor", "", testSuccessor},
		{"ReadOnly", "", testReadOnly},
		{"Locks", "", testLocks},
		{"LockWaits", "", testLockWaits},
		{"Busy", "", testBusy},
		{"Hostile", "", testHostile},
		{"StatFS", "", testStatFS},
		{"Metadata", b.NoMetadata, testMetadata},
		{"Xattrs", b.NoMetadata, testXattrs},
		{"Links", b.NoLinks, testLinks},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.lacks != "" {
				t.Skip(tc.lacks)
			}
			dir := t.TempDir()
			f := &fixture{dir: dir, backend: b}
			f.client = client{t: t, h: b.Open(t, dir, false)}
			f.hello()
			tc.test(t, f)
		})
	}
}

// fixture is a share with its directory on the host.
type fixture struct {
	client
	dir     string
	backend Backend
}

const root = 1

// hello is the kernel's first request.
func (c *client) hello() []byte {
	c.t.Helper()
	return c.must(opInit, 0, 7, 37, 1<<17, 0xffffffff, make([]byte, 48))
}

func (f *fixture) path(name string) string { return filepath.Join(f.dir, filepath.FromSlash(name)) }

// put writes a file on the host.
func (f *fixture) put(name, text string) {
	f.t.Helper()
	if err := os.MkdirAll(filepath.Dir(f.path(name)), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(f.path(name), []byte(text), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

// get reads a file on the host.
func (f *fixture) get(name string) string {
	f.t.Helper()
	text, err := os.ReadFile(f.path(name))
	if err != nil {
		f.t.Error(err)
	}
	return string(text)
}

// content reads a file as the guest.
func (f *fixture) content(node uint64) string {
	f.t.Helper()
	h := f.open(node, 0)
	defer f.release(node, h)
	return f.read(node, h, 0, 4096)
}
