package sockets

import (
	"net"
	"net/netip"
	"slices"
	"testing"
)

// What this test listens on is among what the kernel tells, each family and protocol.
func TestListening(t *testing.T) {
	var want []Listener
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0", "[::]:0"} {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		p, err := net.ListenPacket("udp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		want = append(want, Listener{Addr: l.Addr().(*net.TCPAddr).AddrPort()}, Listener{UDP: true, Addr: p.LocalAddr().(*net.UDPAddr).AddrPort()})
	}
	connected, err := net.Dial("udp", "127.0.0.1:9")
	if err != nil {
		t.Fatal(err)
	}
	defer connected.Close()
	got, err := Listening()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range want {
		l.Addr = netip.AddrPortFrom(l.Addr.Addr().Unmap(), l.Addr.Port())
		if !slices.Contains(got, l) {
			t.Errorf("%v is not among %v", l, got)
		}
	}
	if slices.Contains(got, Listener{UDP: true, Addr: connected.LocalAddr().(*net.UDPAddr).AddrPort()}) {
		t.Error("a connected UDP socket is listed")
	}
}
