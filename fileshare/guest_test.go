//go:build linux

package fileshare

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/fileshare/session"
	"github.com/paddock-run/paddock/guest/agent/fusepump"
	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/guest/channel"
	"github.com/paddock-run/paddock/guest/stream"
)

// rig is a guest without a VM: this process mounts what a real server process shares.
type rig struct {
	dir    string
	procs  *Processes
	srv    Server
	shares fusepump.Manager

	mu sync.Mutex
	// what follows is guarded by mu
	last   net.Conn                   // the newest stream
	mounts map[string]*session.Server // what the guest has mounted, by path in a share
}

// newRig starts a server process and the guest it dials.
func newRig(t testing.TB) *rig {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting FUSE needs root")
	}
	// Not t.TempDir: its long name does not fit a socket address.
	dir, err := os.MkdirTemp("", "fileshare")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r := &rig{dir: dir}
	socket := filepath.Join(dir, "share.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	go r.serveGuest(l)
	r.procs, err = New(Config{StateDir: filepath.Join(dir, "state")})
	if err != nil {
		t.Fatal(err)
	}
	r.srv, err = r.procs.Start(r.ctx(t), "pod", channel.MuxAddress(socket))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.shares.Close(); err != nil {
			t.Error(err)
		}
		r.srv.Close()
		if err := r.procs.Stop(context.Background(), "pod"); err != nil {
			t.Error(err)
		}
		l.Close()
		if mounts, err := os.ReadFile("/proc/self/mounts"); err != nil || strings.Contains(string(mounts), dir) {
			t.Errorf("mounts are left under %s (%v)", dir, err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *rig) ctx(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// heldConn is not read from until its channel is closed: nobody may dial before the guest listens.
type heldConn struct {
	*net.UnixConn
	until chan struct{}
}

func (c heldConn) Read(b []byte) (int, error) {
	<-c.until
	return c.UnixConn.Read(b)
}

// serveGuest is the guest's end of the channel: it hands share streams to the pump.
func (r *rig) serveGuest(l net.Listener) {
	for {
		wire, err := l.Accept()
		if err != nil {
			return
		}
		held := heldConn{wire.(*net.UnixConn), make(chan struct{})}
		ports, err := channel.NewGuestMux(held).Listen(api.StreamPort)
		close(held.until)
		if err != nil {
			continue
		}
		go func() {
			for {
				conn, err := ports.Accept()
				if err != nil {
					return
				}
				h, err := stream.ReadHeader(conn)
				if err != nil {
					conn.Close()
					continue
				}
				r.mu.Lock()
				r.last = conn
				mount := r.mounts[h.GetMount().GetPath()]
				r.mu.Unlock()
				if stream.WriteReply(conn, &api.StreamReply{}) != nil {
					continue
				}
				switch {
				case h.GetShare() != nil:
					r.shares.Register(h.GetShare().ShareId, conn)
				case mount != nil:
					go mount.Serve(conn)
				}
			}
		}()
	}
}

// mount shares host and mounts it; it returns the mount point.
func (r *rig) mount(t testing.TB, id, host string, readOnly bool) string {
	t.Helper()
	return r.mountShare(t, Share{ID: id, HostPath: host, ReadOnly: readOnly})
}

func (r *rig) mountShare(t testing.TB, share Share) string {
	t.Helper()
	ctx := r.ctx(t)
	id, readOnly := share.ID, share.ReadOnly
	info, err := r.srv.Add(ctx, share)
	if err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(r.dir, "mnt-"+id)
	if info.RootIsFile {
		err = os.WriteFile(target, nil, 0o600)
	} else {
		err = os.Mkdir(target, 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	// The host has the guest's answer before the guest has registered the stream.
	waitFor(t, "mount "+id, func() error {
		return r.shares.Mount(ctx, id, target, readOnly, info.RootIsFile, info.MaxWrite)
	})
	return target
}

// share makes a directory on the host and mounts it: the host's path and the guest's.
func (r *rig) share(t testing.TB, id string, readOnly bool) (host, guest string) {
	t.Helper()
	host = filepath.Join(r.dir, "host-"+id)
	if err := os.Mkdir(host, 0o755); err != nil {
		t.Fatal(err)
	}
	return host, r.mount(t, id, host, readOnly)
}

// waitFor calls try until it succeeds or ten seconds have passed.
func waitFor(t testing.TB, what string, try func() error) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErrno(t testing.TB, what string, err error, want unix.Errno) {
	t.Helper()
	if got := errnoOf(err); got != want {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func errnoOf(err error) unix.Errno {
	for err != nil {
		if e, ok := err.(unix.Errno); ok {
			return e
		}
		u, ok := err.(interface{ Unwrap() error })
		if !ok {
			return 0
		}
		err = u.Unwrap()
	}
	return 0
}

func statOf(t testing.TB, path string) unix.Stat_t {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		t.Fatal(fmt.Errorf("lstat %s: %w", path, err))
	}
	return st
}

// pid is the server's process.
func (s *server) pid(t testing.TB) int {
	t.Helper()
	data, err := os.ReadFile(recordPath(s.dir))
	must(t, err)
	var r record
	must(t, json.Unmarshal(data, &r))
	return r.PID
}
