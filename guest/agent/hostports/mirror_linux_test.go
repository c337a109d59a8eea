package hostports

import (
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/paddock-run/paddock/guest/sockets"
)

func TestPorts(t *testing.T) {
	at := func(udp bool, addr string) sockets.Listener {
		return sockets.Listener{UDP: udp, Addr: netip.MustParseAddrPort(addr)}
	}
	got := ports([]sockets.Listener{
		at(false, "127.0.0.1:80"), at(false, "0.0.0.0:80"), at(false, "[::1]:81"), at(false, "127.0.0.53:53"),
		at(false, "169.254.64.2:22"), at(true, "0.0.0.0:53"), at(true, "127.0.0.1:54"), at(true, "0.0.0.0:40000"), at(false, "0.0.0.0:40000"),
	}, portRange{32768, 60999})
	want := []Port{{Number: 22}, {Number: 53, UDP: true}, {Number: 80}, {Number: 81, Loopback: true}, {Number: 40000}}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if back := FromAPI(ToAPI(want)); !slices.Equal(back, want) {
		t.Errorf("through the protocol: %v", back)
	}
}

// greet serves a greeting on an address of the loopback.
func greet(t *testing.T, addr, greeting string) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, greeting)
			c.Close()
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort().Port()
}

func hear(t *testing.T, addr netip.Addr, port uint16) string {
	t.Helper()
	c, err := net.DialTimeout("tcp", netip.AddrPortFrom(addr, port).String(), 5*time.Second)
	if err != nil {
		return ""
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	text, _ := io.ReadAll(c)
	return string(text)
}

// The node's and the pod's localhost stand for each other: here both are addresses of the loopback.
func TestMirror(t *testing.T) {
	node, link := netip.MustParseAddr("127.0.9.1"), netip.MustParseAddr("127.0.9.2")
	m := New(node, []netip.Addr{link})
	defer m.Close()
	port := greet(t, "127.0.9.1:0", "node")
	m.SetNode([]Port{{Number: port, Loopback: true}})
	if got := hear(t, localhost4, port); got != "node" {
		t.Errorf("the node's listener on the guest's localhost says %q", got)
	}
	if _, err := net.Listen("tcp", netip.AddrPortFrom(localhost4, port).String()); err == nil {
		t.Error("a port of the node can be bound in the guest")
	}
	inner := greet(t, "127.0.0.1:0", "pod")
	found, err := m.Scan()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(found, Port{Number: inner, Loopback: true}) || slices.Contains(found, Port{Number: port, Loopback: true}) {
		t.Errorf("found %v: want %d of the pod's, and not %d of the mirror's", found, inner, port)
	}
	if got := hear(t, link, inner); got != "pod" {
		t.Errorf("the pod's localhost from the link says %q", got)
	}
	again, err := m.Scan()
	if err != nil || !slices.Contains(again, Port{Number: inner, Loopback: true}) {
		t.Errorf("the second scan found %v, %v", again, err)
	}
	m.SetNode(nil)
	if got := hear(t, localhost4, port); got != "" {
		t.Errorf("a port that the node gave up says %q", got)
	}
}
