//go:build linux

package hostports

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"time"

	relaying "github.com/paddock-run/paddock/guest/agent/relay"
)

// dialTime bounds the connecting to a relay's target.
const dialTime = 5 * time.Second

// relay accepts connections for one port.
type relay struct {
	mirror   *Mirror
	key      relayKey
	listener net.Listener
}

func (m *Mirror) listen(key relayKey) (*relay, error) {
	host := ""
	if key.addr.IsValid() {
		host = key.addr.String()
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(int(key.port))))
	if err != nil {
		return nil, err
	}
	r := &relay{mirror: m, key: key, listener: l}
	go r.serve()
	return r, nil
}

func (r *relay) listening() netip.AddrPort {
	at := r.listener.Addr().(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

func (r *relay) close() { r.listener.Close() }

func (r *relay) serve() {
	for {
		conn, err := r.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(10 * time.Millisecond) // out of descriptors, or the peer is gone
			continue
		}
		r.mirror.slots <- struct{}{} // beyond that many, connections wait to be accepted
		go func() {
			defer func() { <-r.mirror.slots }()
			r.carry(conn)
		}()
	}
}

// carry connects a client with the relay's target. A failure to connect is a reset connection.
func (r *relay) carry(client net.Conn) {
	defer client.Close()
	if !r.key.inward && !local(client) {
		return // the node has no need to come back to itself
	}
	target, err := r.dial()
	if err != nil {
		if tcp, ok := client.(*net.TCPConn); ok {
			tcp.SetLinger(0)
		}
		return
	}
	defer target.Close()
	_ = relaying.Both(client, target, func() { client.Close(); target.Close() })
}

func (r *relay) dial() (net.Conn, error) {
	targets := []netip.Addr{r.mirror.node}
	if r.key.inward {
		targets = []netip.Addr{localhost4, localhost6}
	}
	var failed error
	for _, addr := range targets {
		conn, err := net.DialTimeout("tcp", netip.AddrPortFrom(addr, r.key.port).String(), dialTime)
		if err == nil {
			return conn, nil
		}
		failed = errors.Join(failed, err)
	}
	return nil, failed
}

// local tells whether a connection comes from the guest itself.
func local(c net.Conn) bool {
	from := c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
	to := c.LocalAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
	return from.IsLoopback() || from == to
}
