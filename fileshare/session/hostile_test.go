//go:build linux

package session

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/fileshare/posix"
)

const (
	opSetattr   = 4
	opSymlink   = 6
	opMknod     = 8
	opMkdir     = 9
	opStatfs    = 17
	opUnlink    = 10
	opRmdir     = 11
	opRename    = 12
	opLink      = 13
	opOpen      = 14
	opWrite     = 16
	opSetxattr  = 21
	opOpendir   = 27
	opCreate    = 35
	opFallocate = 43
	opRename2   = 45
)

// client is a guest that sends what it likes.
type client struct {
	t      testing.TB
	conn   net.Conn
	in     *bufio.Reader
	unique uint64
	thread uint32 // that makes the requests
}

// serve starts a server of dir and returns a raw client to it.
func serve(t testing.TB, dir string, readOnly bool, budget int) (*client, *posix.Budget) {
	t.Helper()
	root, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(root)
	b := posix.NewBudget(budget)
	fs, err := posix.New(posix.Config{Root: root, ReadOnly: readOnly, Budget: b})
	if err != nil {
		t.Fatal(err)
	}
	s := New(fs)
	ours, theirs := net.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Serve(theirs)
		theirs.Close()
	}()
	t.Cleanup(func() {
		ours.Close()
		<-ended
		fs.Stop()
		s.Wait()
		fs.Close()
		if b.Used() != 0 || b.Known() != 0 {
			t.Errorf("%d descriptors and %d inodes were not given back", b.Used(), b.Known())
		}
	})
	ours.SetDeadline(time.Now().Add(time.Minute))
	return &client{t: t, conn: ours, in: bufio.NewReader(ours)}, b
}

// request builds a message.
func request(opcode uint32, unique, node uint64, body ...byte) []byte {
	msg := make([]byte, headerSize, headerSize+len(body))
	binary.NativeEndian.PutUint32(msg[0:], uint32(headerSize+len(body)))
	binary.NativeEndian.PutUint32(msg[4:], opcode)
	binary.NativeEndian.PutUint64(msg[8:], unique)
	binary.NativeEndian.PutUint64(msg[16:], node)
	return append(msg, body...)
}

// do sends one request and returns its answer's errno and body.
func (c *client) do(opcode uint32, node uint64, body ...byte) (unix.Errno, []byte) {
	c.t.Helper()
	c.unique += 2
	msg := request(opcode, c.unique, node, body...)
	binary.NativeEndian.PutUint32(msg[32:], c.thread)
	if _, err := c.conn.Write(msg); err != nil {
		c.t.Fatal(err)
	}
	return c.reply()
}

func (c *client) reply() (unix.Errno, []byte) {
	c.t.Helper()
	var head [16]byte
	if _, err := io.ReadFull(c.in, head[:]); err != nil {
		c.t.Fatal(err)
	}
	size := binary.NativeEndian.Uint32(head[:])
	if size < 16 || size > maxMessage {
		c.t.Fatalf("answer of %d bytes", size)
	}
	body := make([]byte, size-16)
	if _, err := io.ReadFull(c.in, body); err != nil {
		c.t.Fatal(err)
	}
	return unix.Errno(-int32(binary.NativeEndian.Uint32(head[4:]))), body
}

func words(values ...any) []byte {
	var b []byte
	for _, v := range values {
		switch v := v.(type) {
		case uint32:
			b = binary.NativeEndian.AppendUint32(b, v)
		case uint64:
			b = binary.NativeEndian.AppendUint64(b, v)
		case string:
			b = append(append(b, v...), 0)
		}
	}
	return b
}

func (c *client) lookup(parent uint64, name string) (uint64, unix.Errno) {
	c.t.Helper()
	errno, body := c.do(opLookup, parent, words(name)...)
	if errno != 0 {
		return 0, errno
	}
	return binary.NativeEndian.Uint64(body), 0
}

// TestNamesStayInTheShare asks every operation that takes a name for paths.
func TestNamesStayInTheShare(t *testing.T) {
	top := t.TempDir()
	share := filepath.Join(top, "share")
	for _, d := range []string{share, share + "/d"} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{top + "/secret", share + "/f"} {
		if err := os.WriteFile(f, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("..", share+"/up"); err != nil {
		t.Fatal(err)
	}
	c, _ := serve(t, share, false, 100)
	dir, errno := c.lookup(1, "d")
	if errno != 0 {
		t.Fatal(errno)
	}
	file, errno := c.lookup(1, "f")
	if errno != 0 {
		t.Fatal(errno)
	}
	link, errno := c.lookup(1, "up")
	if errno != 0 {
		t.Fatal(errno)
	}
	for _, name := range []string{"..", ".", "", "/", "../secret", "/etc/passwd", "d/../..", "up/secret", strings.Repeat("a", 4000)} {
		for what, try := range map[string]struct {
			op   uint32
			body []byte
		}{
			"lookup": {opLookup, words(name)}, "unlink": {opUnlink, words(name)}, "rmdir": {opRmdir, words(name)},
			"mkdir": {opMkdir, words(uint32(0o755), uint32(0), name)}, "mknod": {opMknod, words(uint32(unix.S_IFREG|0o600), uint32(0), uint32(0), uint32(0), name)},
			"symlink": {opSymlink, words(name, "text")}, "link": {opLink, words(file, name)},
			"create":      {opCreate, words(uint32(unix.O_RDWR), uint32(0o600), uint32(0), uint32(0), name)},
			"rename from": {opRename, words(uint64(1), name, "x")}, "rename to": {opRename, words(uint64(1), "f", name)},
		} {
			for _, parent := range []uint64{1, dir} {
				if errno, _ := c.do(try.op, parent, try.body...); errno == 0 {
					t.Errorf("%s of %.20q succeeded", what, name)
				}
			}
		}
	}
	for _, parent := range []uint64{file, link, 12345, 0, ^uint64(1)} {
		if _, errno := c.lookup(parent, "secret"); errno == 0 {
			t.Errorf("lookup below node %d succeeded", parent)
		}
	}
	if entries, err := os.ReadDir(top); err != nil || len(entries) != 2 {
		t.Errorf("beside the share: %v, %v", entries, err)
	}
}

// TestSpecialFilesAreNotOpened: a device node in the share must not become the host's device.
func TestSpecialFilesAreNotOpened(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("device nodes need root")
	}
	dir := t.TempDir()
	for name, mode := range map[string]uint32{"char": unix.S_IFCHR, "fifo": unix.S_IFIFO, "sock": unix.S_IFSOCK} {
		if err := unix.Mknod(filepath.Join(dir, name), mode|0o666, int(unix.Mkdev(1, 5))); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/passwd", dir+"/link"); err != nil {
		t.Fatal(err)
	}
	c, _ := serve(t, dir, false, 100)
	for _, name := range []string{"char", "fifo", "sock", "link"} {
		node, errno := c.lookup(1, name)
		if errno != 0 {
			t.Fatal(errno)
		}
		for _, flags := range []uint32{unix.O_RDONLY, unix.O_WRONLY, unix.O_RDWR | unix.O_TRUNC, unix.O_PATH, unix.O_TMPFILE} {
			if errno, _ := c.do(opOpen, node, words(flags, uint32(0))...); errno == 0 {
				t.Errorf("open of %s with %#x succeeded", name, flags)
			}
		}
		if errno, _ := c.do(opCreate, 1, words(uint32(unix.O_RDWR), uint32(0o600), uint32(0), uint32(0), name)...); errno == 0 {
			t.Errorf("create over %s succeeded", name)
		}
		if errno, _ := c.do(opOpendir, node, words(uint32(0), uint32(0))...); errno == 0 {
			t.Errorf("opendir of %s succeeded", name)
		}
	}
}

// TestReadOnlyIsTheServers: a guest that ignores its own mount's flag is refused.
func TestReadOnlyIsTheServers(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/f", []byte("data"), 0o666); err != nil {
		t.Fatal(err)
	}
	c, _ := serve(t, dir, true, 100)
	f, errno := c.lookup(1, "f")
	if errno != 0 {
		t.Fatal(errno)
	}
	errno, body := c.do(opOpen, f, words(uint32(unix.O_RDONLY), uint32(0))...)
	if errno != 0 {
		t.Fatal(errno)
	}
	fh := binary.NativeEndian.Uint64(body)
	for what, try := range map[string]struct {
		op   uint32
		node uint64
		body []byte
	}{
		"setattr":       {opSetattr, f, append(words(uint32(1<<3)), make([]byte, 100)...)},
		"unlink":        {opUnlink, 1, words("f")},
		"mkdir":         {opMkdir, 1, words(uint32(0o755), uint32(0), "d")},
		"mknod":         {opMknod, 1, words(uint32(unix.S_IFREG), uint32(0), uint32(0), uint32(0), "n")},
		"symlink":       {opSymlink, 1, words("l", "text")},
		"link":          {opLink, 1, words(f, "l")},
		"rename":        {opRename, 1, words(uint64(1), "f", "g")},
		"create":        {opCreate, 1, words(uint32(unix.O_RDWR), uint32(0o600), uint32(0), uint32(0), "c")},
		"open rw":       {opOpen, f, words(uint32(unix.O_RDWR), uint32(0))},
		"open truncate": {opOpen, f, words(uint32(unix.O_TRUNC), uint32(0))},
		"write":         {opWrite, f, append(words(fh, uint64(0), uint32(1), uint32(0), uint64(0), uint32(0), uint32(0)), 'x')},
		"setxattr":      {opSetxattr, f, words(uint32(1), uint32(0), "user.a", "b")},
		"fallocate":     {opFallocate, f, words(fh, uint64(0), uint64(4096), uint32(0), uint32(0))},
	} {
		if errno, _ := c.do(try.op, try.node, try.body...); errno != unix.EROFS {
			t.Errorf("%s: %v, want EROFS", what, errno)
		}
	}
	if got, err := os.ReadFile(dir + "/f"); err != nil || string(got) != "data" {
		t.Errorf("file holds %q, %v", got, err)
	}
}

// TestExhaustion floods the server with inodes and handles.
func TestExhaustion(t *testing.T) {
	dir := t.TempDir()
	c, b := serve(t, dir, false, 50)
	full := false
	for i := range 200 {
		errno, _ := c.do(opCreate, 1, words(uint32(unix.O_RDWR), uint32(0o600), uint32(0), uint32(0), "f"+string(rune('A'+i/26))+string(rune('a'+i%26)))...)
		if errno == unix.ENFILE {
			full = true
		} else if errno != 0 {
			t.Fatal(errno)
		}
	}
	if !full || b.Used() > 50 {
		t.Errorf("full: %v, descriptors: %d", full, b.Used())
	}
	if errno, _ := c.do(opRead, 1, words(uint64(1), uint64(0), uint32(1<<31), uint32(0), uint64(0), uint64(0))...); errno != unix.EINVAL {
		t.Errorf("read of 2 GiB: %v", errno)
	}
	if errno, _ := c.do(opIoctl, 1, make([]byte, 100)...); errno != unix.ENOTTY {
		t.Errorf("ioctl: %v", errno)
	}
}

func TestGiantMessageEndsTheStream(t *testing.T) {
	for _, size := range []uint32{0, 39, maxMessage + 1, 1<<32 - 1} {
		c, _ := serve(t, t.TempDir(), false, 10)
		msg := request(opLookup, 2, 1, words("f")...)
		binary.NativeEndian.PutUint32(msg, size)
		go c.conn.Write(msg)
		if _, err := c.in.ReadByte(); !errors.Is(err, io.EOF) {
			t.Errorf("size %d: %v, want the stream's end", size, err)
		}
	}
}

// TestSymlinkRace swaps a directory and a symlink out of the share while the
// guest looks below the name.
func TestSymlinkRace(t *testing.T) {
	top := t.TempDir()
	share, outside := top+"/share", top+"/outside"
	for _, d := range []string{share, share + "/real", outside} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(outside+"/secret", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, share+"/link"); err != nil {
		t.Fatal(err)
	}
	c, _ := serve(t, share, false, 100)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				unix.Renameat2(unix.AT_FDCWD, share+"/real", unix.AT_FDCWD, share+"/link", unix.RENAME_EXCHANGE)
			}
		}
	}()
	for range 3000 {
		node, errno := c.lookup(1, "real")
		if errno != 0 {
			continue
		}
		if _, errno := c.lookup(node, "secret"); errno == 0 {
			t.Fatal("reached a file outside the share")
		}
		if errno, _ := c.do(opCreate, node, words(uint32(unix.O_RDWR), uint32(0o600), uint32(0), uint32(0), "made")...); errno == 0 {
			c.do(opUnlink, node, words("made")...)
		}
		c.conn.Write(request(opForget, 0, node, words(uint64(1))...))
	}
	close(stop)
	<-stopped
	if entries, _ := os.ReadDir(outside); len(entries) != 1 {
		t.Errorf("outside the share: %v", entries)
	}
}
