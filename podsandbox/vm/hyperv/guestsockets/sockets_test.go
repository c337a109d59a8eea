package guestsockets

import (
	"errors"
	"io"
	"net"
	"testing"

	"github.com/Microsoft/go-winio/pkg/guid"
)

// local listens on localhost in the place of a service.
func local(addresses chan<- net.Addr) *Sockets {
	return newSockets("vm", func(guid.GUID) (net.Listener, error) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err == nil {
			addresses <- l.Addr()
		}
		return l, err
	})
}

func dial(t *testing.T, addr net.Addr) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestServices(t *testing.T) {
	var asked []string
	s := newSockets("vm", func(service guid.GUID) (net.Listener, error) {
		asked = append(asked, service.String())
		return net.Listen("tcp", "127.0.0.1:0")
	})
	defer s.Close()
	for _, listen := range []func() (net.Listener, error){
		func() (net.Listener, error) { return s.Service("acef5661-84a1-4e44-856b-6245e69f4620") },
		func() (net.Listener, error) { return s.Port(0x40000001) },
	} {
		if _, err := listen(); err != nil {
			t.Fatal(err)
		}
	}
	if asked[0] != "acef5661-84a1-4e44-856b-6245e69f4620" || asked[1] != "40000001-facb-11e6-bd58-64006a7986d3" {
		t.Errorf("listened on %q", asked)
	}
	if _, err := s.Service("bridge"); err == nil {
		t.Error("listened on what is no GUID")
	}
}

// All ends with the VM: who waits for the guest, and who reads from it.
func TestClose(t *testing.T) {
	addresses := make(chan net.Addr, 2)
	s := local(addresses)
	taken, err := s.Port(1)
	if err != nil {
		t.Fatal(err)
	}
	dial(t, <-addresses)
	c, err := taken.Accept()
	if err != nil {
		t.Fatal(err)
	}
	waiting, err := s.Port(2)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 2)
	go func() {
		_, err := waiting.Accept()
		ended <- err
	}()
	go func() {
		_, err := c.Read(make([]byte, 1))
		ended <- err
	}()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("ended with %v", err)
		}
	}
	if _, err := s.Port(3); !errors.Is(err, net.ErrClosed) {
		t.Errorf("listen after Close: %v", err)
	}
	if err := errors.Join(c.Close(), taken.Close(), waiting.Close(), s.Close()); err != nil {
		t.Errorf("to close again: %v", err)
	}
}

func TestBounds(t *testing.T) {
	addresses := make(chan net.Addr, 1)
	s := local(addresses)
	defer s.Close()
	l, err := s.Port(1)
	if err != nil {
		t.Fatal(err)
	}
	addr := <-addresses
	for len(s.open) < maxSockets-1 {
		s.open[&conn{Conn: nopConn{}, sockets: s}] = true
	}
	first := dial(t, addr)
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Port(2); !errors.Is(err, ErrTooMany) {
		t.Errorf("one listener too many: %v", err)
	}
	accepted := make(chan net.Conn, 1)
	go func() {
		c, _ := l.Accept()
		accepted <- c
	}()
	if _, err := dial(t, addr).Read(make([]byte, 1)); err == nil {
		t.Errorf("one connection too many lives: %v", err)
	}
	c.Close()
	if _, err := first.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the closed connection: %v", err)
	}
	dial(t, addr)
	if <-accepted == nil {
		t.Error("what was closed still counts")
	}
}

type nopConn struct{ net.Conn }

func (nopConn) Close() error { return nil }
