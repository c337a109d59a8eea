package channel

import (
	"context"
	"net"
	"sync"
)

// socketDialer is the Dialer of addresses that the host's kernel connects to.
type socketDialer struct {
	dial func(ctx context.Context, port uint32) (net.Conn, error)
	done chan struct{}
	once sync.Once
}

func newSocketDialer(dial func(ctx context.Context, port uint32) (net.Conn, error)) *socketDialer {
	return &socketDialer{dial: dial, done: make(chan struct{})}
}

func (d *socketDialer) Dial(ctx context.Context, port uint32) (net.Conn, error) {
	select {
	case <-d.done:
		return nil, net.ErrClosed
	default:
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return d.dial(ctx, port)
}

func (d *socketDialer) Done() <-chan struct{} { return d.done }

func (d *socketDialer) Close() error {
	d.once.Do(func() { close(d.done) })
	return nil
}
