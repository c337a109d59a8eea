package podsandbox

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/paddock-run/paddock/podsandbox/hostcgroup"
)

type pipeEnd struct {
	io.Reader
	io.WriteCloser
}

// pipe returns the two ends of a stream.
func pipe() (a, b io.ReadWriteCloser) {
	ar, bw := io.Pipe()
	br, aw := io.Pipe()
	return pipeEnd{ar, aw}, pipeEnd{br, bw}
}

func TestParseSignal(t *testing.T) {
	for in, want := range map[string]uint32{"": 15, "TERM": 15, "SIGKILL": 9, "sigusr1": 10, "3": 3, "RTMIN+3": 37, "SIGRTMAX-1": 63, "RTMIN": 34,
		"0": 0, "65": 0, "NONE": 0, "RTMIN+99": 0, "RTMIN-1": 0, "RTMINx": 0} {
		if got, err := parseSignal(in); got != want || (err == nil) != (want != 0) {
			t.Errorf("%q: %d, %v, want %d", in, got, err, want)
		}
	}
}

func TestBandwidth(t *testing.T) {
	for in, want := range map[string]uint64{"": 0, "10M": 10e6, "1Gi": 1 << 30, "500k": 500e3, "1.5M": 1.5e6, "7": 7, "x": 0, "-1M": 0, "1e40": 0} {
		if got := bandwidth(in); got != want {
			t.Errorf("%q: %d, want %d", in, got, want)
		}
	}
}

func TestEmptyDirName(t *testing.T) {
	for in, want := range map[string]string{
		"/var/lib/kubelet/pods/u/volumes/kubernetes.io~empty-dir/v":     "emptydir/v",
		"/var/lib/kubelet/pods/u/volumes/kubernetes.io~empty-dir/v/sub": "emptydir/v/sub",
		"/var/lib/kubelet/pods/u/volumes/kubernetes.io~empty-dir/":      "",
		"/var/lib/kubelet/pods/u/volumes/kubernetes.io~secret/v":        "",
		// Another pod's, and what only looks like one.
		"/var/lib/kubelet/pods/other/volumes/kubernetes.io~empty-dir/v": "",
		"/srv/volumes/kubernetes.io~empty-dir/v":                        "",
	} {
		c := classifier{podUID: "u"}
		if got := c.emptyDirName(in); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

func TestResolvConf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	os.WriteFile(path, []byte("# c\nnameserver 1.1.1.1\nnameserver ::1\nsearch a b\noptions ndots:5\n"), 0o600)
	dns, err := readResolvConf(path)
	if err != nil || len(dns.Servers) != 2 || len(dns.Searches) != 2 || dns.Options[0] != "ndots:5" {
		t.Errorf("%+v, %v", dns, err)
	}
}

func TestScratchDisksAreSparseCopies(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("ext4 scratch disks are made on Linux hosts")
	}
	dir := t.TempDir()
	maker := NewExt4Scratch(filepath.Join(dir, "templates"), 1<<30)
	for _, name := range []string{"a", "b"} {
		path := filepath.Join(dir, name)
		if err := maker.Make(context.Background(), path); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		magic := make([]byte, 2)
		if _, err := f.ReadAt(magic, 1024+56); err != nil || !bytes.Equal(magic, []byte{0x53, 0xef}) {
			t.Errorf("no ext4 superblock: %x %v", magic, err)
		}
		if info, _ := f.Stat(); info.Size() != 1<<30 {
			t.Errorf("size %d", info.Size())
		}
	}
}

func TestVMCgroup(t *testing.T) {
	m := &Manager{cfg: Config{PodOverheadMemory: 96 << 20}}
	const pod = "/kubepods/burstable/pod1"
	for _, c := range []struct {
		limit, overhead int64
		want            string
	}{
		{0, 0, pod},
		{128 << 20, 0, "/kubepods/burstable"},
		{160 << 20, 32 << 20, "/kubepods/burstable"},
		{288 << 20, 160 << 20, pod},
	} {
		cfg := SandboxConfig{CgroupParent: pod, Overhead: Resources{MemoryLimit: c.overhead}}
		if got := m.vmCgroupOf(t.Context(), &cfg, hostcgroup.Limits{Memory: c.limit}); got != c.want {
			t.Errorf("limit %d, overhead %d: %q, want %q", c.limit, c.overhead, got, c.want)
		}
	}
}
