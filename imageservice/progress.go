package imageservice

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// traffic counts what a pull has in flight and received.
type traffic struct {
	active atomic.Int32
	bytes  atomic.Uint64
}

// watchdog cancels when requests are in flight and none received a byte for
// timeout. It returns when ctx ends.
func (t *traffic) watchdog(ctx context.Context, timeout time.Duration, cancel context.CancelCauseFunc) {
	tick := time.NewTicker(max(timeout/4, time.Millisecond))
	defer tick.Stop()
	seen, since, wasActive := uint64(0), time.Now(), false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		active, bytes := t.active.Load() > 0, t.bytes.Load()
		if !active || bytes != seen || !wasActive {
			seen, since, wasActive = bytes, time.Now(), active
			continue
		}
		if time.Since(since) >= timeout {
			cancel(fmt.Errorf("%w: no byte received for %v", ErrUnavailable, timeout))
			return
		}
	}
}

// countingTransport tells traffic of every request.
type countingTransport struct {
	next    http.RoundTripper
	traffic *traffic
}

func (c *countingTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	c.traffic.active.Add(1)
	resp, err := c.next.RoundTrip(req)
	if err != nil {
		c.traffic.active.Add(-1)
		return nil, err
	}
	resp.Body = &countingBody{ReadCloser: resp.Body, traffic: c.traffic}
	return resp, nil
}

type countingBody struct {
	io.ReadCloser
	traffic *traffic
	once    sync.Once
}

func (b *countingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.traffic.bytes.Add(uint64(n))
	return n, err
}

func (b *countingBody) Close() error {
	err := b.ReadCloser.Close()
	b.once.Do(func() { b.traffic.active.Add(-1) })
	return err
}
