package channel

import (
	"errors"
	"fmt"
	"io"

	"github.com/paddock-run/paddock/guest/nowait"
)

// OpenPort opens a virtio-serial port (/dev/vportNpM) for NewGuestMux.
//
// Such a port reads as ended while no host is connected, and blocks writers.
// The pipe returned fails one Read with a reason and lets the next one wait for the host.
func OpenPort(path string) (io.ReadWriteCloser, error) {
	f, err := nowait.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the channel's port: %w", err)
	}
	return &port{f: f}, nil
}

// port is a virtio-serial port, or what behaves like one.
type port struct {
	f    io.ReadWriteCloser
	away bool // the last Read found no host; used by the one reader only
}

func (p *port) Read(b []byte) (int, error) {
	if p.away {
		// The driver has no event for "a host has come" but that writers go on:
		// a zero byte is padding to a host that waits for the handshake.
		if _, err := p.f.Write([]byte{0}); err != nil {
			return 0, err
		}
		p.away = false
	}
	n, err := p.f.Read(b)
	if n == 0 && (err == nil || errors.Is(err, io.EOF)) {
		p.away = true
		return 0, errHostAway
	}
	return n, err
}

func (p *port) Write(b []byte) (int, error) { return p.f.Write(b) }

func (p *port) Close() error { return p.f.Close() }
