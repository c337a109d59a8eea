package podsandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	guestapi "github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/guest/stream"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

// openStream dials the stream port and says what the stream is for. A refusal
// has the guest's gRPC status code. ctx bounds the opening only.
func openStream(ctx context.Context, machine vm.VM, header *guestapi.StreamHeader) (net.Conn, error) {
	conn, _, err := stream.Connect(ctx, streamDialer(machine), header)
	if err != nil {
		return nil, fmt.Errorf("open a stream: %w", err)
	}
	return conn, nil
}

func streamDialer(machine vm.VM) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) { return machine.Dial(ctx, guestapi.StreamPort) }
}

// output is the host's end of a process's stdout or stderr. Every byte is
// delivered in order and, unless it was acknowledged, again after a lost connection.
type output struct {
	vm     vm.VM
	stream guestapi.StdioStream
	// deliver takes bytes in order and returns the offset that the guest may forget up to. Failing ends the stream.
	deliver func(p []byte) (durable uint64, err error)
	next    uint64 // offset of the next byte to deliver
}

// run delivers until the stream ends (nil), the VM does, ctx does, or deliver fails.
func (o *output) run(ctx context.Context) error {
	for wait := retryFirst; ; wait = min(2*wait, retryMost) {
		before := o.next
		err := o.connected(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		var failed *deliverError
		if errors.As(err, &failed) || errors.Is(err, vm.ErrExited) {
			return err
		}
		switch status.Code(err) {
		case codes.NotFound, codes.OutOfRange, codes.Aborted:
			return err
		}
		if o.next > before {
			wait = retryFirst
		}
		select {
		case <-time.After(wait):
		case <-o.vm.Exited():
			return fmt.Errorf("%w: %w", vm.ErrExited, err)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

type deliverError struct{ error }

func (e *deliverError) Unwrap() error { return e.error }

// connected reads one connection to its end.
func (o *output) connected(ctx context.Context) error {
	r, err := stream.OpenOutput(ctx, streamDialer(o.vm), &guestapi.StdioStream{
		ContainerId: o.stream.ContainerId, ExecId: o.stream.ExecId, Stdio: o.stream.Stdio, Offset: o.next,
	})
	if err != nil {
		return err
	}
	defer r.Close()
	stop := context.AfterFunc(ctx, func() { r.Close() })
	defer stop()
	buf := make([]byte, 64<<10)
	var acked uint64
	for {
		n, err := r.Read(buf)
		if n > 0 {
			o.next += uint64(n)
			durable, failed := o.deliver(buf[:n])
			if failed != nil {
				return &deliverError{failed}
			}
			if durable > acked {
				acked = durable
				// It may fail when the guest has ended the stream: what it sent before can still be read.
				_ = r.Ack(durable)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
