package channel

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// needUnixSockets skips where multiplexed channels are never used.
func needUnixSockets(t testing.TB) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("channels of Windows hosts are AF_HYPERV sockets, not multiplexed Unix ones")
	}
}

// socketPair is two ends of a Unix stream socket, as QEMU's chardev has.
func socketPair(t testing.TB) (a, b net.Conn) {
	t.Helper()
	needUnixSockets(t)
	dir, err := os.MkdirTemp("", "chan")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err = net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return a, b
}

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// muxPair is a host and a guest over a socket pair, and the guest's listener on port 7.
func muxPair(t testing.TB) (Dialer, net.Listener) {
	t.Helper()
	a, b := socketPair(t)
	g := NewGuestMux(b)
	t.Cleanup(func() { g.Close(); <-g.Done() })
	l, err := g.Listen(7)
	if err != nil {
		t.Fatal(err)
	}
	d, err := NewHostMux(testContext(t), a)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d, l
}

// connect dials port 7 and accepts.
func connect(t testing.TB, d Dialer, l net.Listener) (host, guest *Stream) {
	t.Helper()
	c, err := d.Dial(testContext(t), 7)
	if err != nil {
		t.Fatal(err)
	}
	g, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); g.Close() })
	return c.(*Stream), g.(*Stream)
}

func mustWrite(t *testing.T, c net.Conn, s string) {
	t.Helper()
	if n, err := c.Write([]byte(s)); err != nil || n != len(s) {
		t.Fatalf("write: %d, %v", n, err)
	}
}

func TestEndsOfStreams(t *testing.T) {
	tests := []struct {
		name     string
		act      func(t *testing.T, from, to *Stream)
		read     string
		readErr  error
		writeErr error // of the peer, once it has read the end; nil: it can write
		present  bool
	}{
		{"half close", func(t *testing.T, from, to *Stream) {
			mustWrite(t, from, "abc")
			from.CloseWrite()
		}, "abc", nil, nil, true},
		{"close", func(t *testing.T, from, to *Stream) {
			mustWrite(t, from, "abc")
			from.Close()
		}, "abc", nil, ErrPeerClosed, false},
		{"half close and close", func(t *testing.T, from, to *Stream) {
			from.CloseWrite()
			from.Close()
		}, "", nil, ErrPeerClosed, false},
		{"reset", func(t *testing.T, from, to *Stream) { from.Reset() }, "", ErrReset, ErrReset, false},
		{"close with unread data", func(t *testing.T, from, to *Stream) {
			mustWrite(t, to, "unread")
			io.ReadFull(from, make([]byte, 1))
			from.Close()
		}, "", ErrReset, ErrReset, false},
	}
	for _, tt := range tests {
		for _, side := range []string{"host", "guest"} {
			t.Run(tt.name+" by "+side, func(t *testing.T) {
				d, l := muxPair(t)
				from, to := connect(t, d, l)
				if side == "guest" {
					from, to = to, from
				}
				tt.act(t, from, to)
				got, err := io.ReadAll(to)
				if string(got) != tt.read || !errors.Is(err, tt.readErr) {
					t.Fatalf("read %q, %v; want %q, %v", got, err, tt.read, tt.readErr)
				}
				if p := PeerPresent(to); p != tt.present {
					t.Fatalf("PeerPresent is %v", p)
				}
				if _, err = to.Write([]byte("x")); !errors.Is(err, tt.writeErr) {
					t.Fatalf("write: %v; want %v", err, tt.writeErr)
				}
				if errors.Is(tt.readErr, ErrReset) && !errors.Is(err, syscall.ECONNRESET) {
					t.Fatalf("%v is no ECONNRESET", err)
				}
			})
		}
	}
}

func TestDialRefused(t *testing.T) {
	d, l := muxPair(t)
	if _, err := d.Dial(testContext(t), 8); !errors.Is(err, ErrRefused) || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("dial without a listener: %v", err)
	}
	connect(t, d, l)
	l.Close()
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("accept after close: %v", err)
	}
	if _, err := d.Dial(testContext(t), 7); !errors.Is(err, ErrRefused) {
		t.Fatalf("dial after the listener's close: %v", err)
	}
}

func TestBacklogIsBounded(t *testing.T) {
	d, l := muxPair(t)
	for i := range backlog {
		if _, err := d.Dial(testContext(t), 7); err != nil {
			t.Fatalf("dial %d: %v", i, err)
		}
	}
	if _, err := d.Dial(testContext(t), 7); !errors.Is(err, ErrRefused) {
		t.Fatalf("dial beyond the backlog: %v", err)
	}
	l.Close()
}

func TestStreamsAreBounded(t *testing.T) {
	d, l := muxPair(t)
	go func() {
		for {
			if _, err := l.Accept(); err != nil {
				return
			}
		}
	}()
	var last net.Conn
	for i := range MaxStreams {
		c, err := d.Dial(testContext(t), 7)
		if errors.Is(err, ErrRefused) { // the acceptor lags
			time.Sleep(time.Millisecond)
			continue
		}
		if err != nil {
			t.Fatalf("dial %d: %v", i, err)
		}
		last = c
	}
	for range MaxStreams {
		if _, err := d.Dial(testContext(t), 7); errors.Is(err, ErrTooManyStreams) {
			last.Close()
			if _, err := d.Dial(testContext(t), 7); err != nil {
				t.Fatalf("dial after a close: %v", err)
			}
			return
		}
	}
	t.Fatal("more than MaxStreams were opened")
}

func TestManyStreamsCarryTheirOwnBytes(t *testing.T) {
	d, l := muxPair(t)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { io.Copy(c, c); c.(CloseWriter).CloseWrite() }()
		}
	}()
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			c, err := d.Dial(testContext(t), 7)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			want := make([]byte, 3*Window+17)
			rand.Read(want)
			go func() { c.Write(want); c.(CloseWriter).CloseWrite() }()
			got, err := io.ReadAll(c)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("echo of %d bytes: got %d, %v", len(want), len(got), err)
			}
		})
	}
	wg.Wait()
}

func TestSlowReaderBlocksOnlyItsStream(t *testing.T) {
	d, l := muxPair(t)
	slowHost, slowGuest := connect(t, d, l)
	slowHost.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
	n, err := slowHost.Write(make([]byte, 2*Window))
	if !errors.Is(err, os.ErrDeadlineExceeded) || n != Window {
		t.Fatalf("write to a slow reader: %d, %v; want the window, %d", n, err, Window)
	}
	h, g := connect(t, d, l)
	mustWrite(t, h, "ping")
	if _, err := io.ReadFull(g, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	slowHost.SetWriteDeadline(time.Time{})
	go slowHost.Write(make([]byte, Window))
	if _, err := io.ReadFull(slowGuest, make([]byte, 2*Window)); err != nil {
		t.Fatal(err)
	}
}

func TestDeadlines(t *testing.T) {
	d, l := muxPair(t)
	h, g := connect(t, d, l)
	h.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	_, err := h.Read(make([]byte, 1))
	var ne net.Error
	if !errors.As(err, &ne) || !ne.Timeout() || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read past its deadline: %v", err)
	}
	h.SetReadDeadline(time.Time{})
	mustWrite(t, g, "x")
	if _, err := h.Read(make([]byte, 1)); err != nil {
		t.Fatalf("read after the deadline was removed: %v", err)
	}
	got := make(chan error, 1)
	go func() { _, err := h.Read(make([]byte, 1)); got <- err }()
	h.SetDeadline(time.Unix(1, 0))
	if err := <-got; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read when the deadline was set to the past: %v", err)
	}
}

func TestCloseWakesReadAndWrite(t *testing.T) {
	d, l := muxPair(t)
	h, _ := connect(t, d, l)
	errs := make(chan error, 2)
	go func() { _, err := h.Read(make([]byte, 1)); errs <- err }()
	go func() { _, err := h.Write(make([]byte, 2*Window)); errs <- err }()
	h.Close()
	for range 2 {
		if err := <-errs; !errors.Is(err, net.ErrClosed) {
			t.Fatalf("got %v, want net.ErrClosed", err)
		}
	}
}

func TestSessionEndResetsStreams(t *testing.T) {
	d, l := muxPair(t)
	h, g := connect(t, d, l)
	mustWrite(t, h, "abc")
	if _, err := io.ReadFull(g, make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	d.Close()
	<-d.Done()
	for _, c := range []*Stream{h, g} {
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, ErrReset) {
			t.Fatalf("%s: read %v, want ErrReset", c.LocalAddr(), err)
		}
	}
	if _, err := d.Dial(testContext(t), 7); err == nil {
		t.Fatal("dial on a closed channel succeeded")
	}
}

func TestOpenGivesUpWithItsContext(t *testing.T) {
	needUnixSockets(t)
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, err := Open(ctx, MuxAddress(l.Addr().String())); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("open without an agent: %v", err)
	}
}

func TestVersionMismatchIsTold(t *testing.T) {
	a, b := socketPair(t)
	defer b.Close()
	go func() {
		buf := make([]byte, maxFrame+greetingLen)
		io.ReadFull(b, buf)
		var n nonce
		copy(n[:], buf[maxFrame+20:])
		b.Write(appendGreeting(nil, ackMagic, muxVersion+1, n))
	}()
	if _, err := NewHostMux(testContext(t), a); !errors.Is(err, ErrVersion) {
		t.Fatalf("got %v, want ErrVersion", err)
	}
}
