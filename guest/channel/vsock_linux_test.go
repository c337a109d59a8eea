package channel

import (
	"net"
	"testing"
)

// TestHostOnly: connections of any other address are closed before Accept sees them.
func TestHostOnly(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	h := &hostOnlyListener{Listener: l, isHost: func(net.Addr) bool { asked++; return asked > 1 }}
	defer h.Close()
	first, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	second, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	c, err := h.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.RemoteAddr().String() != second.LocalAddr().String() {
		t.Fatalf("accepted %s", c.RemoteAddr())
	}
	if _, err := first.Read(make([]byte, 1)); err == nil {
		t.Fatal("the other connection lives")
	}
}
