package stream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/guest/channel"
)

// guest serves one OutputBuffer over a multiplexed channel.
type guest struct {
	buf    *OutputBuffer
	dialer channel.Dialer
	served chan error
}

func newGuest(t *testing.T, window int) *guest {
	t.Helper()
	a, b := net.Pipe()
	mux := channel.NewGuestMux(b)
	l, err := mux.Listen(api.StreamPort)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	d, err := channel.NewHostMux(ctx, a)
	if err != nil {
		t.Fatal(err)
	}
	g := &guest{buf: NewOutputBuffer(window), dialer: d, served: make(chan error, 100)}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				h, err := ReadHeader(c)
				if err != nil {
					c.Close()
					return
				}
				g.served <- g.buf.Serve(c, h.GetStdio().Offset)
			}()
		}
	}()
	t.Cleanup(func() { g.buf.Discard(); d.Close(); mux.Close(); <-mux.Done() })
	return g
}

func (g *guest) open(offset uint64) (*OutputReader, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return OpenOutput(ctx, func(ctx context.Context) (net.Conn, error) {
		return g.dialer.Dial(ctx, api.StreamPort)
	}, &api.StdioStream{ContainerId: "c", Offset: offset})
}

func (g *guest) mustOpen(t *testing.T, offset uint64) *OutputReader {
	t.Helper()
	r, err := g.open(offset)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func TestOutputToItsEnd(t *testing.T) {
	g := newGuest(t, 0)
	io.WriteString(g.buf, "hello")
	g.buf.Close()
	r := g.mustOpen(t, 0)
	got, err := io.ReadAll(r)
	if string(got) != "hello" || err != nil {
		t.Fatalf("read %q, %v", got, err)
	}
	if g.buf.Drained() {
		t.Fatal("drained before it was acknowledged")
	}
	if err := r.Ack(5); err != nil {
		t.Fatal(err)
	}
	r.Close()
	if err := <-g.served; err != nil {
		t.Fatalf("served: %v", err)
	}
	if !g.buf.Drained() {
		t.Fatal("not drained")
	}
	if _, err := g.open(4); status.Code(err) != codes.OutOfRange {
		t.Fatalf("open before the mark: %v", err)
	}
	if _, err := g.open(6); status.Code(err) != codes.OutOfRange {
		t.Fatalf("open beyond the end: %v", err)
	}
}

func TestWriterWaitsForMarks(t *testing.T) {
	g := newGuest(t, 8)
	wrote := make(chan error, 1)
	go func() { _, err := io.WriteString(g.buf, "0123456789"); wrote <- err }()
	r := g.mustOpen(t, 0)
	got := make([]byte, 8)
	if _, err := io.ReadFull(r, got); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-wrote:
		t.Fatalf("write ended beyond the window: %v", err)
	default:
	}
	if err := r.Ack(3); err != nil {
		t.Fatal(err)
	}
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
	if err := r.Ack(100); err == nil {
		t.Fatal("acknowledged what was not read")
	}
}

func TestNewerConnectionEndsOlder(t *testing.T) {
	g := newGuest(t, 0)
	io.WriteString(g.buf, "abc")
	old := g.mustOpen(t, 0)
	if _, err := io.ReadFull(old, make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	young := g.mustOpen(t, 1)
	if _, err := old.Read(make([]byte, 1)); !errors.Is(err, channel.ErrReset) {
		t.Fatalf("older connection reads %v", err)
	}
	got := make([]byte, 2)
	if _, err := io.ReadFull(young, got); err != nil || string(got) != "bc" {
		t.Fatalf("younger connection reads %q, %v", got, err)
	}
}

func TestLyingMarkEndsTheConnection(t *testing.T) {
	g := newGuest(t, 0)
	r := g.mustOpen(t, 0)
	r.offset.Store(1 << 50)
	if err := r.Ack(1 << 40); err != nil {
		t.Fatal(err)
	}
	if err := <-g.served; status.Code(err) != codes.OutOfRange {
		t.Fatalf("served: %v", err)
	}
}

func TestDiscardFailsWriterAndReader(t *testing.T) {
	g := newGuest(t, 4)
	wrote := make(chan error, 1)
	go func() { _, err := io.WriteString(g.buf, "0123456789"); wrote <- err }()
	r := g.mustOpen(t, 0)
	if _, err := io.ReadFull(r, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	g.buf.Discard()
	if err := <-wrote; !errors.Is(err, ErrDiscarded) {
		t.Fatalf("writer: %v", err)
	}
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, channel.ErrReset) {
		t.Fatalf("reader: %v", err)
	}
}

// TestOutputSurvivesLostConnections reads a long output over connections that are cut at random places.
func TestOutputSurvivesLostConnections(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	want := make([]byte, 1<<20)
	for i := range want {
		want[i] = byte(rnd.Uint32())
	}
	g := newGuest(t, 64<<10)
	go func() { g.buf.Write(want); g.buf.Close() }()
	var got []byte // what is durable
	for {
		r, err := g.open(uint64(len(got)))
		if err != nil {
			t.Fatal(err)
		}
		part, err := readSome(r, rnd.IntN(100<<10), rnd.IntN(2) == 0)
		got = append(got, part...)
		if err == io.EOF {
			r.Close()
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		channel.Abort(r.conn)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("got %d bytes of %d, or other ones", len(got), len(want))
	}
}

// readSome reads about n bytes, acknowledging as it goes; the last mark may be held back.
func readSome(r *OutputReader, n int, holdBack bool) (got []byte, err error) {
	buf := make([]byte, 10<<10)
	for len(got) < n {
		m, err := r.Read(buf)
		got = append(got, buf[:m]...)
		if err != nil {
			return got, err
		}
		if last := len(got) >= n; !last || !holdBack {
			if err := r.Ack(r.Offset()); err != nil {
				return got, err
			}
		}
	}
	return got, nil
}
