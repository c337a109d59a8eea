package stream

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/guest/channel"
)

// ackTimeout bounds how long a guest may leave marks unread.
const ackTimeout = 30 * time.Second

// OutputReader reads a process's output at the host, over one connection. When
// it fails, open another from the offset that was made durable.
type OutputReader struct {
	conn   net.Conn
	offset atomic.Uint64
}

// OpenOutput dials the guest's stream port and asks for output from s.Offset
// on. An offset that the guest no longer has is codes.OutOfRange, an unknown
// process codes.NotFound. ctx bounds the opening only.
func OpenOutput(ctx context.Context, dial func(context.Context) (net.Conn, error), s *api.StdioStream) (*OutputReader, error) {
	header := &api.StreamHeader{Kind: &api.StreamHeader_Stdio{Stdio: proto.CloneOf(s)}}
	conn, reply, err := Connect(ctx, dial, header)
	if err != nil {
		return nil, fmt.Errorf("open output of %s: %w", s.ContainerId, err)
	}
	if reply.Offset != s.Offset {
		conn.Close()
		return nil, fmt.Errorf("open output of %s: the guest answers with offset %d to %d", s.ContainerId, reply.Offset, s.Offset)
	}
	r := &OutputReader{conn: conn}
	r.offset.Store(s.Offset)
	return r, nil
}

// Read yields output. io.EOF: the output has ended and all of it was read. Any
// other error: the connection failed.
func (r *OutputReader) Read(p []byte) (int, error) {
	n, err := r.conn.Read(p)
	r.offset.Add(uint64(n))
	return n, err
}

// Offset is that of the next byte to be read.
func (r *OutputReader) Offset() uint64 { return r.offset.Load() }

// Ack tells the guest that everything before offset is durable, so that it can forget it.
func (r *OutputReader) Ack(offset uint64) error {
	if read := r.Offset(); offset > read {
		return fmt.Errorf("acknowledge output up to %d: only %d was read", offset, read)
	}
	var mark [8]byte
	binary.BigEndian.PutUint64(mark[:], offset)
	r.conn.SetWriteDeadline(time.Now().Add(ackTimeout))
	if _, err := r.conn.Write(mark[:]); err != nil {
		return fmt.Errorf("acknowledge output up to %d: %w", offset, err)
	}
	return nil
}

// Close ends the connection after the marks sent so far. What was not
// acknowledged stays at the guest.
func (r *OutputReader) Close() error {
	if cw, ok := r.conn.(channel.CloseWriter); ok {
		cw.CloseWrite()
	}
	return r.conn.Close()
}
