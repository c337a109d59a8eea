package stream

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/guest/channel"
)

// DefaultOutputWindow is how many bytes of unacknowledged output are kept, where none is asked for.
const DefaultOutputWindow = 256 << 10

// sendChunk is the most that is sent at once.
const sendChunk = 32 << 10

// Errors of an OutputBuffer.
var (
	// ErrDiscarded: Discard was called.
	ErrDiscarded = errors.New("output was discarded")
	// ErrSuperseded: a newer connection has taken the output over.
	ErrSuperseded = errors.New("a newer connection took the output over")
)

// OutputBuffer keeps a process's output at the guest until the host has made it
// durable. Offsets count from the output's first byte. Its methods may be called concurrently.
type OutputBuffer struct {
	window int

	mu        sync.Mutex
	changed   sync.Cond // anything below has changed
	data      []byte    // from acked on
	acked     uint64    // everything before is durable at the host
	ended     bool      // the writer will write no more
	discarded bool
	conn      net.Conn // that is being served
	sent      uint64   // on conn, as an offset
}

// NewOutputBuffer returns an empty buffer that keeps at most window bytes; 0: DefaultOutputWindow.
func NewOutputBuffer(window int) *OutputBuffer {
	if window <= 0 {
		window = DefaultOutputWindow
	}
	b := &OutputBuffer{window: window}
	b.changed.L = &b.mu
	return b
}

// Write takes output. While the window is full it waits, for ever if no host
// comes, as a write to a full pipe does.
func (b *OutputBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for n := 0; ; {
		switch {
		case b.discarded:
			return n, ErrDiscarded
		case b.ended:
			return n, io.ErrClosedPipe
		case n == len(p):
			return n, nil
		}
		if room := b.window - len(b.data); room > 0 {
			m := min(room, len(p)-n)
			b.data = append(b.data, p[n:n+m]...)
			n += m
			b.changed.Broadcast()
			continue
		}
		b.changed.Wait()
	}
}

// Close marks the end of the output. What is kept can still be fetched.
func (b *OutputBuffer) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	b.changed.Broadcast()
	return nil
}

// Drained tells whether the output has ended and all of it was acknowledged.
func (b *OutputBuffer) Drained() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ended && len(b.data) == 0
}

// Discard drops everything kept, fails writers and ends the connection being served.
func (b *OutputBuffer) Discard() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.discarded, b.data = true, nil
	if b.conn != nil {
		channel.Abort(b.conn)
	}
	b.changed.Broadcast()
}

// Serve answers the header of a connection that asks for output from offset on,
// sends that, and closes its half when the output has ended and all is sent. It
// takes the host's marks meanwhile, and returns when the host has closed the
// connection (nil if that was after the output's end), when a newer Serve has
// begun (ErrSuperseded), or when the connection failed. conn is closed then.
func (b *OutputBuffer) Serve(conn net.Conn, offset uint64) error {
	defer conn.Close()
	if err := b.take(conn, offset); err != nil {
		WriteError(conn, err)
		return err
	}
	if err := WriteReply(conn, &api.StreamReply{Offset: offset}); err != nil {
		b.drop(conn)
		return err
	}
	acks := make(chan error, 1)
	go func() {
		err := b.readAcks(conn)
		b.drop(conn) // wakes send
		acks <- err
	}()
	finished, err := b.send(conn, offset)
	if err != nil {
		channel.Abort(conn)
	}
	ackErr := <-acks
	switch {
	case finished && errors.Is(ackErr, io.EOF):
		return nil
	case err != nil && !errors.Is(err, errGone):
		return err
	}
	return ackErr
}

// errGone: the connection is served no more; its reader knows why.
var errGone = errors.New("connection is gone")

// take makes conn the connection served, if it can have what it asks for.
func (b *OutputBuffer) take(conn net.Conn, offset uint64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	end := b.acked + uint64(len(b.data))
	switch {
	case b.discarded:
		return status.Error(codes.NotFound, ErrDiscarded.Error())
	case offset < b.acked || offset > end:
		return status.Errorf(codes.OutOfRange, "output at offset %d is asked for; %d to %d are kept", offset, b.acked, end)
	}
	if b.conn != nil {
		channel.Abort(b.conn)
	}
	b.conn, b.sent = conn, offset
	b.changed.Broadcast()
	return nil
}

func (b *OutputBuffer) drop(conn net.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conn == conn {
		b.conn = nil
		b.changed.Broadcast()
	}
}

// send writes output from offset on until it has all been sent (finished), or conn is replaced or fails.
func (b *OutputBuffer) send(conn net.Conn, offset uint64) (finished bool, err error) {
	var chunk []byte // most outputs are short
	for {
		if chunk, err = b.next(conn, offset, chunk[:0]); err != nil {
			return false, err
		}
		if len(chunk) == 0 {
			if cw, ok := conn.(channel.CloseWriter); ok {
				return true, cw.CloseWrite()
			}
			return true, nil
		}
		if _, err := conn.Write(chunk); err != nil {
			return false, fmt.Errorf("send output at offset %d: %w", offset, err)
		}
		offset += uint64(len(chunk))
	}
}

// next waits for output beyond offset and copies it into chunk, which stays empty at the output's end.
func (b *OutputBuffer) next(conn net.Conn, offset uint64, chunk []byte) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		switch {
		case b.discarded:
			return nil, ErrDiscarded
		case b.conn == nil:
			return nil, errGone
		case b.conn != conn:
			return nil, ErrSuperseded
		}
		// offset is never before acked: only what was sent is acknowledged.
		if rest := b.data[offset-b.acked:]; len(rest) > 0 {
			chunk = append(chunk, rest[:min(len(rest), sendChunk)]...)
			b.sent = offset + uint64(len(chunk))
			return chunk, nil
		}
		if b.ended {
			return chunk, nil
		}
		b.changed.Wait()
	}
}

// readAcks takes the host's marks until the connection ends.
func (b *OutputBuffer) readAcks(conn net.Conn) error {
	var mark [8]byte
	for {
		if _, err := io.ReadFull(conn, mark[:]); err != nil {
			return err
		}
		if err := b.ack(conn, binary.BigEndian.Uint64(mark[:])); err != nil {
			return err
		}
	}
}
