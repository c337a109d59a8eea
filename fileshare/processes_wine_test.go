//go:build windows && wine

package fileshare

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/guest/channel"
	"github.com/paddock-run/paddock/guest/idmap"
	"github.com/paddock-run/paddock/guest/stream"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

const guestAddress = channel.Address("hvsock:11111111-2222-3333-4444-555555555555")

// guest stands for the VM behind Hyper-V's stand-in: it takes streams, and each is a
// share's that it can ask.
type guest struct {
	t       *testing.T
	streams chan guestStream
}

type guestStream struct {
	share string
	conn  net.Conn
}

func newGuest(t *testing.T) *guest {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	t.Setenv("PADDOCK_STANDIN", l.Addr().String())
	g := &guest{t: t, streams: make(chan guestStream, 16)}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go g.take(conn)
		}
	}()
	return g
}

// take answers as guest/channel.dialHvsock expects, and then as the agent.
func (g *guest) take(conn net.Conn) {
	size := make([]byte, 4)
	if _, err := io.ReadFull(conn, size); err != nil {
		return
	}
	if _, err := io.CopyN(io.Discard, conn, int64(binary.LittleEndian.Uint32(size))); err != nil {
		return
	}
	if _, err := conn.Write(make([]byte, 8)); err != nil {
		return
	}
	h, err := stream.ReadHeader(conn)
	if err != nil || stream.WriteReply(conn, &api.StreamReply{}) != nil {
		conn.Close()
		return
	}
	g.streams <- guestStream{h.GetShare().GetShareId(), conn}
}

// next is the next share's stream that a server has opened.
func (g *guest) next() guestStream {
	g.t.Helper()
	select {
	case s := <-g.streams:
		return s
	case <-time.After(30 * time.Second):
		g.t.Fatal("no stream was opened")
		return guestStream{}
	}
}

// lookup asks for a name in the root; 0: it is there, else the error's number.
func (s guestStream) lookup(t *testing.T, name string) int32 {
	t.Helper()
	msg := make([]byte, 40)
	binary.LittleEndian.PutUint32(msg, uint32(40+len(name)+1))
	binary.LittleEndian.PutUint32(msg[4:], 1)
	binary.LittleEndian.PutUint64(msg[8:], 2)
	binary.LittleEndian.PutUint64(msg[16:], 1)
	s.conn.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := s.conn.Write(append(append(msg, name...), 0)); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 16)
	if _, err := io.ReadFull(s.conn, head); err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, s.conn, int64(binary.LittleEndian.Uint32(head))-16); err != nil {
		t.Fatal(err)
	}
	return -int32(binary.LittleEndian.Uint32(head[4:]))
}

// startServers starts a sandbox's server.
func startServers(t *testing.T) (*Processes, Server, context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	procs, err := New(Config{StateDir: filepath.Join(t.TempDir(), "state")})
	if err != nil {
		t.Fatal(err)
	}
	srv, err := procs.Start(ctx, "pod", guestAddress)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		srv.Close()
		if err := procs.Stop(context.Background(), "pod"); err != nil {
			t.Error(err)
		}
		cancel()
	})
	return procs, srv, ctx
}

// write makes a folder with a file.
func write(t *testing.T, dir, name string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestServerOnWindows(t *testing.T) {
	g := newGuest(t)
	procs, srv, ctx := startServers(t)
	dir := write(t, filepath.Join(t.TempDir(), "d"), "f")

	again, err := procs.Start(ctx, "pod", guestAddress)
	if err != nil || again.(*server).process().id != srv.(*server).process().id {
		t.Fatalf("started again: %v", err)
	}
	again.Close()
	if ids, err := procs.List(ctx); err != nil || !slices.Equal(ids, []string{"pod"}) {
		t.Errorf("%q, %v", ids, err)
	}
	info, err := srv.Add(ctx, Share{ID: "s", HostPath: dir})
	if err != nil || info.RootIsFile || info.MaxWrite != 1<<20 {
		t.Fatalf("%+v, %v", info, err)
	}
	s := g.next()
	if s.share != "s" || s.lookup(t, "f") != 0 || s.lookup(t, "..") == 0 {
		t.Errorf("share %q", s.share)
	}
	if _, err := srv.Add(ctx, Share{ID: "s", HostPath: dir}); err != nil {
		t.Errorf("added again: %v", err)
	}
	if _, err := srv.Add(ctx, Share{ID: "s", HostPath: dir, ReadOnly: true}); err == nil {
		t.Error("another share has the same id")
	}
	if info, err := srv.Add(ctx, Share{ID: "file", HostPath: filepath.Join(dir, "f")}); err != nil || !info.RootIsFile {
		t.Errorf("a file: %+v, %v", info, err)
	}
	g.next()
	if _, err := srv.Add(ctx, Share{ID: "none", HostPath: filepath.Join(dir, "none")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a path that is not there: %v", err)
	}
	if _, err := srv.Add(ctx, Share{ID: "ids", HostPath: dir, IDs: &idmap.Range{Host: 100000, Size: 65536}}); !errors.Is(err, vm.ErrUnsupported) {
		t.Errorf("an id mapping: %v", err)
	}
	if err := srv.Remove(ctx, "s"); err != nil {
		t.Error(err)
	}
	if _, err := s.conn.Read(make([]byte, 1)); err == nil {
		t.Error("the stream of a removed share goes on")
	}
	if err := procs.Stop(ctx, "pod"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-srv.Exited():
	case <-time.After(30 * time.Second):
		t.Error("a stopped server has not ended")
	}
	if _, err := procs.Open(ctx, "pod"); !errors.Is(err, vm.ErrNotFound) {
		t.Errorf("opened a stopped one: %v", err)
	}
}

// A server that dies is replaced, with its shares; but for one whose path leads elsewhere since.
func TestServerRestartsOnWindows(t *testing.T) {
	g := newGuest(t)
	procs, srv, ctx := startServers(t)
	kept, moved := write(t, filepath.Join(t.TempDir(), "kept"), "f"), write(t, filepath.Join(t.TempDir(), "moved"), "f")
	for id, dir := range map[string]string{"kept": kept, "moved": moved} {
		if _, err := srv.Add(ctx, Share{ID: id, HostPath: dir}); err != nil {
			t.Fatal(err)
		}
		g.next()
	}
	srv.Close() // the daemon ends
	before, err := openProcess(procs.dir("pod"))
	if err != nil {
		t.Fatal(err)
	}
	if err := before.kill(ctx.Done()); err != nil {
		t.Fatal(err)
	}
	before.close()
	if err := os.Rename(moved, moved+"-away"); err != nil {
		t.Fatal(err)
	}
	write(t, moved, "another")

	next, err := procs.Open(ctx, "pod") // and the next one finds the server dead
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	select {
	case <-next.Restarted():
	case <-ctx.Done():
		t.Fatal("the server was not started again")
	}
	if s := g.next(); s.share != "kept" || s.lookup(t, "f") != 0 {
		t.Errorf("share %q", s.share)
	}
	select {
	case s := <-g.streams:
		t.Errorf("share %q, whose path leads elsewhere, is served", s.share)
	case <-time.After(time.Second):
	}
}

// A server has given up what it does not need.
func TestServerIsConfined(t *testing.T) {
	newGuest(t)
	_, srv, _ := startServers(t)
	h, err := windows.OpenProcess(windows.PROCESS_QUERY_INFORMATION, false, uint32(srv.(*server).process().id))
	if err != nil {
		t.Fatal(err)
	}
	defer windows.CloseHandle(h)
	var token windows.Token
	if err := windows.OpenProcessToken(h, windows.TOKEN_QUERY, &token); err != nil {
		t.Fatal(err)
	}
	defer token.Close()
	size := uint32(4096)
	buf := make([]byte, size)
	if err := windows.GetTokenInformation(token, windows.TokenPrivileges, &buf[0], size, &size); err != nil {
		t.Fatal(err)
	}
	if left := (*windows.Tokenprivileges)(unsafe.Pointer(&buf[0])).AllPrivileges(); len(left) > 1 {
		t.Errorf("privileges that are left: %+v", left)
	}
	var inJob int32
	r, _, err := windows.NewLazySystemDLL("kernel32.dll").NewProc("IsProcessInJob").Call(uintptr(h), 0, uintptr(unsafe.Pointer(&inJob)))
	if r == 0 || inJob == 0 {
		t.Errorf("in a job: %v, %v", inJob, err)
	}
}
