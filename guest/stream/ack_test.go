package stream

import (
	"errors"
	"net"
	"testing"
)

// A mark may be on its way when the output is discarded.
func TestMarkAfterDiscard(t *testing.T) {
	host, conn := net.Pipe()
	defer host.Close()
	defer conn.Close()
	b := NewOutputBuffer(0)
	if _, err := b.Write([]byte("text")); err != nil {
		t.Fatal(err)
	}
	if err := b.take(conn, 0); err != nil {
		t.Fatal(err)
	}
	chunk, err := b.next(conn, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	b.Discard()
	if err := b.ack(conn, uint64(len(chunk))); !errors.Is(err, ErrDiscarded) {
		t.Errorf("mark after Discard: %v, want %v", err, ErrDiscarded)
	}
}
