package windowsagent

import (
	"net"
	"sync"
	"time"
)

// duplex is one end of a connection within this process. Its halves close
// separately, as net.Pipe's do not: each direction is a net.Pipe of its own.
type duplex struct {
	in, out net.Conn
	peer    *duplex
	once    sync.Once
	closed  chan struct{}
}

func newDuplex() (host, guest *duplex) {
	hostIn, guestOut := net.Pipe()
	guestIn, hostOut := net.Pipe()
	host = &duplex{in: hostIn, out: hostOut, closed: make(chan struct{})}
	guest = &duplex{in: guestIn, out: guestOut, closed: make(chan struct{}), peer: host}
	host.peer = guest
	return host, guest
}

// peerReads tells whether the other end has closed its half at most.
func (d *duplex) peerReads() bool {
	select {
	case <-d.peer.closed:
		return false
	default:
		return true
	}
}

func (d *duplex) Read(b []byte) (int, error)  { return d.in.Read(b) }
func (d *duplex) Write(b []byte) (int, error) { return d.out.Write(b) }

// CloseWrite is end of file for the other end.
func (d *duplex) CloseWrite() error { return d.out.Close() }

func (d *duplex) Close() error {
	d.once.Do(func() { close(d.closed) })
	d.in.Close()
	return d.out.Close()
}

func (d *duplex) LocalAddr() net.Addr  { return address{} }
func (d *duplex) RemoteAddr() net.Addr { return address{} }

func (d *duplex) SetDeadline(t time.Time) error {
	d.in.SetDeadline(t)
	return d.out.SetDeadline(t)
}

func (d *duplex) SetReadDeadline(t time.Time) error  { return d.in.SetReadDeadline(t) }
func (d *duplex) SetWriteDeadline(t time.Time) error { return d.out.SetWriteDeadline(t) }

// address is of all ends alike.
type address struct{}

func (address) Network() string { return "agent" }
func (address) String() string  { return "windows-agent" }
