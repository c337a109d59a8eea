package vmtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/containerd/ttrpc"

	"github.com/paddock-run/paddock/guest/api"
)

// Guest is the inside of a Fake's VM: ports that Go code listens on.
type Guest struct {
	id       string
	powerOff func()

	mu     sync.Mutex
	closed bool
	ports  map[uint32]*listener
	conns  map[net.Conn]struct{}
}

func newGuest(id string, powerOff func()) *Guest {
	return &Guest{
		id:       id,
		powerOff: powerOff,
		ports:    make(map[uint32]*listener),
		conns:    make(map[net.Conn]struct{}),
	}
}

// ID is the VM's.
func (g *Guest) ID() string { return g.id }

// PowerOff ends the VM from inside, as the kernel's power off does.
func (g *Guest) PowerOff() { g.powerOff() }

// Listen opens a port of the guest. It is closed when the VM ends.
func (g *Guest) Listen(port uint32) (net.Listener, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil, net.ErrClosed
	}
	if g.ports[port] != nil {
		return nil, fmt.Errorf("guest port %d: address in use", port)
	}
	l := &listener{guest: g, port: port, queue: make(chan net.Conn, 64), done: make(chan struct{})}
	g.ports[port] = l
	return l, nil
}

// ServeAgent serves svc on the control port until the VM ends.
func (g *Guest) ServeAgent(svc api.AgentService) error {
	l, err := g.Listen(api.ControlPort)
	if err != nil {
		return err
	}
	srv, err := ttrpc.NewServer()
	if err != nil {
		l.Close()
		return fmt.Errorf("make the agent's server: %w", err)
	}
	api.RegisterAgentService(srv, svc)
	go func() {
		_ = srv.Serve(context.Background(), l) // ends with the listener
		_ = srv.Close()
	}()
	return nil
}

func (g *Guest) dial(ctx context.Context, port uint32) (net.Conn, error) {
	g.mu.Lock()
	l := g.ports[port]
	g.mu.Unlock()
	if l == nil {
		return nil, fmt.Errorf("dial port %d of VM %s: connection refused", port, g.id)
	}
	host, inner, err := pipe()
	if err != nil {
		return nil, err
	}
	if !g.track(host, inner) {
		return nil, fmt.Errorf("dial port %d of VM %s: %w", port, g.id, net.ErrClosed)
	}
	select {
	case l.queue <- inner:
		return &conn{Conn: host, guest: g}, nil
	case <-l.done:
		err = fmt.Errorf("dial port %d of VM %s: connection refused", port, g.id)
	case <-ctx.Done():
		err = ctx.Err()
	}
	g.forget(host)
	g.forget(inner)
	return nil, err
}

// track remembers connections, to cut them when the VM ends.
func (g *Guest) track(conns ...net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range conns {
		if g.closed {
			c.Close()
			continue
		}
		g.conns[c] = struct{}{}
	}
	return !g.closed
}

func (g *Guest) forget(c net.Conn) error {
	g.mu.Lock()
	delete(g.conns, c)
	g.mu.Unlock()
	return c.Close()
}

// end closes every port and connection: the VM is gone.
func (g *Guest) end() {
	g.mu.Lock()
	g.closed = true
	ports, conns := g.ports, g.conns
	g.ports, g.conns = make(map[uint32]*listener), make(map[net.Conn]struct{})
	g.mu.Unlock()
	for _, l := range ports {
		l.shut()
	}
	for c := range conns {
		c.Close()
	}
}

// conn is one end of a guest's connection.
type conn struct {
	net.Conn
	guest *Guest
}

func (c *conn) Close() error { return c.guest.forget(c.Conn) }

// CloseWrite ends the connection's outgoing half.
func (c *conn) CloseWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}
	return half.CloseWrite()
}

type listener struct {
	guest *Guest
	port  uint32
	queue chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.queue:
		return &conn{Conn: c, guest: l.guest}, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *listener) shut() { l.once.Do(func() { close(l.done) }) }

func (l *listener) Close() error {
	l.guest.mu.Lock()
	if l.guest.ports[l.port] == l {
		delete(l.guest.ports, l.port)
	}
	l.guest.mu.Unlock()
	l.shut()
	return nil
}

func (l *listener) Addr() net.Addr { return guestAddr(l.port) }

type guestAddr uint32

func (guestAddr) Network() string  { return "guest" }
func (a guestAddr) String() string { return fmt.Sprint(uint32(a)) }
