//go:build linux || windows

package fileshare

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/guest/channel"
	"github.com/paddock-run/paddock/guest/stream"
)

// guestGoneAfter is how long a guest that was reached once may be unreachable before its server ends.
const guestGoneAfter = 30 * time.Second

// guestLink dials the guest, and opens its channel again when it breaks.
type guestLink struct {
	addr channel.Address
	gone chan struct{} // closed when the guest has been unreachable for guestGoneAfter

	mu sync.Mutex
	// what follows is guarded by mu
	dialer  channel.Dialer
	failing time.Time // since when nothing works; zero if the last try did, or none was made
	lost    bool
}

func newGuestLink(addr channel.Address) *guestLink {
	return &guestLink{addr: addr, gone: make(chan struct{})}
}

// dial opens a stream.
func (g *guestLink) dial(ctx context.Context, header *api.StreamHeader) (net.Conn, error) {
	d, err := g.channel(ctx)
	if err != nil {
		g.failed()
		return nil, fmt.Errorf("open the guest's channel: %w", err)
	}
	conn, err := d.Dial(ctx, api.StreamPort)
	if err != nil {
		g.failed()
		return nil, fmt.Errorf("dial the guest: %w", err)
	}
	g.mu.Lock()
	g.failing = time.Time{}
	g.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	_, err = stream.Open(conn, header)
	if err == nil && !stop() {
		err = ctx.Err()
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("open the stream of %v: %w", header, err)
	}
	return conn, nil
}

// channel is the open channel, opened again if it has broken.
func (g *guestLink) channel(ctx context.Context) (channel.Dialer, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.dialer != nil {
		select {
		case <-g.dialer.Done():
			g.dialer.Close()
			g.dialer = nil
		default:
			return g.dialer, nil
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	d, err := channel.Open(ctx, g.addr)
	if err != nil {
		return nil, err
	}
	g.dialer = d
	go g.watch(d)
	return d, nil
}

// failed notes a failure, and gives the guest up after too long a row of them.
func (g *guestLink) failed() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.failing.IsZero() {
		g.failing = time.Now()
	}
	if !g.lost && time.Since(g.failing) > guestGoneAfter {
		g.lost = true
		close(g.gone)
	}
}

// watch opens a channel that broke again, so that the guest's end is noticed without a share in use.
func (g *guestLink) watch(d channel.Dialer) {
	<-d.Done()
	for {
		ctx, cancel := context.WithTimeout(context.Background(), guestGoneAfter)
		_, err := g.channel(ctx)
		cancel()
		if err == nil {
			return // watched anew
		}
		g.failed()
		select {
		case <-g.gone:
			return
		case <-time.After(time.Second):
		}
	}
}
