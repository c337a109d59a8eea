package tests

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// serveNames answers DNS queries for one name's IPv4 address at the network's gateway.
func serveNames(t *testing.T, name string, addr netip.Addr) {
	t.Helper()
	conn, err := net.ListenPacket("udp4", net.JoinHostPort(gateway().String(), "53"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		packet := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(packet)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				continue
			}
			if answer, err := answerQuery(packet[:n], name, addr); err == nil {
				_, _ = conn.WriteTo(answer, from)
			}
		}
	}()
}

// gateway is the node's address on the bridge, once a pod has been there.
func gateway() netip.Addr { return env.network.Subnet4.Addr().Next() }

func answerQuery(packet []byte, name string, addr netip.Addr) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(packet); err != nil {
		return nil, err
	}
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	for _, q := range m.Questions {
		switch {
		case q.Name.String() != name+".":
			m.RCode = dnsmessage.RCodeNameError
		case q.Type == dnsmessage.TypeA:
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 60},
				Body:   &dnsmessage.AResource{A: addr.As4()},
			})
		}
	}
	return m.Pack()
}
