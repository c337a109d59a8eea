//go:build linux

package fileshare

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/guest/fusedev"
)

// TestSilentGuest is a guest that answers the first request, sends what nobody
// has asked for, and then nothing: the node's processes must get on.
func TestSilentGuest(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting FUSE needs root")
	}
	dir := filepath.Join(t.TempDir(), "at")
	must(t, os.Mkdir(dir, 0o755))
	m, err := newGuestMount("paddock:test", false)
	must(t, err)
	defer m.close()
	device, err := unix.FcntlInt(uintptr(m.device), unix.F_DUPFD_CLOEXEC, 0)
	must(t, err)
	dev, err := fusedev.New(device)
	must(t, err)
	host, guest := net.Pipe()
	p := startMountPump("e1", time.Second, dev, host, func(context.Context) (net.Conn, error) { return nil, errors.New("no guest") })
	defer p.finish()
	go silentGuest(guest)
	select {
	case <-p.ready:
	case <-time.After(10 * time.Second):
		t.Fatal("FUSE_INIT is not answered")
	}
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(fd)
	must(t, m.attach(fd))
	defer unix.Unmount(dir, unix.MNT_DETACH)
	start := time.Now()
	out, err := exec.Command("ls", dir+"/x").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "timed out") {
		t.Errorf("ls: %v: %s", err, out)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("ls took %v", took)
	}
}

// silentGuest answers FUSE_INIT only.
func silentGuest(conn net.Conn) {
	head := make([]byte, fuseInHeader)
	for {
		if _, err := io.ReadFull(conn, head); err != nil {
			return
		}
		rest := make([]byte, binary.NativeEndian.Uint32(head)-fuseInHeader)
		if _, err := io.ReadFull(conn, rest); err != nil {
			return
		}
		if binary.NativeEndian.Uint32(head[4:]) != fuseInit {
			continue
		}
		notice := make([]byte, fuseOutHeader+8) // unique 0: FUSE_NOTIFY_POLL
		binary.NativeEndian.PutUint32(notice, uint32(len(notice)))
		binary.NativeEndian.PutUint32(notice[4:], 1)
		unasked := make([]byte, fuseOutHeader)
		binary.NativeEndian.PutUint32(unasked, fuseOutHeader)
		binary.NativeEndian.PutUint64(unasked[8:], 4242)
		answer := make([]byte, fuseOutHeader+64)
		binary.NativeEndian.PutUint32(answer, uint32(len(answer)))
		copy(answer[8:16], head[8:16])
		binary.NativeEndian.PutUint32(answer[16:], 7)       // major
		binary.NativeEndian.PutUint32(answer[20:], 31)      // minor
		binary.NativeEndian.PutUint32(answer[24:], 128<<10) // max_readahead
		binary.NativeEndian.PutUint32(answer[36:], 128<<10) // max_write
		for _, msg := range [][]byte{notice, unasked, answer, answer} {
			if _, err := conn.Write(msg); err != nil {
				return
			}
		}
	}
}

func TestAnswerSizes(t *testing.T) {
	buf := make([]byte, mountMessage)
	for _, size := range []uint32{0, 15, mountMessage + 1, 1 << 31} {
		msg := make([]byte, 64)
		binary.NativeEndian.PutUint32(msg, size)
		if n, err := readAnswer(strings.NewReader(string(msg)), buf); err == nil {
			t.Errorf("an answer of %d bytes was read as %d", size, n)
		}
	}
}
