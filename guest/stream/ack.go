package stream

import (
	"net"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// ack drops what is durable up to offset. Marks may repeat or lag.
func (b *OutputBuffer) ack(conn net.Conn, offset uint64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch end := b.acked + uint64(len(b.data)); {
	case b.discarded:
		return ErrDiscarded
	case b.conn != conn:
		return ErrSuperseded
	case offset > b.sent:
		return status.Errorf(codes.OutOfRange, "mark %d is beyond what was sent, %d of %d", offset, b.sent, end)
	case offset <= b.acked:
		return nil
	}
	b.data = b.data[offset-b.acked:]
	b.acked = offset
	if len(b.data) == 0 {
		b.data = nil // an idle process's output costs nothing
	}
	b.changed.Broadcast()
	return nil
}
