//go:build windows && wine

package guestsockets

import (
	"net"
	"strings"

	"github.com/Microsoft/go-winio"

	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/standin"
)

// listenHvsock listens at the service that stands in for Hyper-V in tests
// (e2e/windows/hcs), as Wine has no AF_HYPERV. Each connection of the guest is
// announced by its name, under which it is fetched.
func listenHvsock(addr *winio.HvsockAddr) (net.Listener, error) {
	c, err := standin.Open("Listen", addr.VMID.String(), addr.ServiceID.String())
	if err != nil {
		return nil, err
	}
	return &standInListener{c, addr}, nil
}

type standInListener struct {
	net.Conn
	addr *winio.HvsockAddr
}

func (l *standInListener) Addr() net.Addr { return l.addr }

func (l *standInListener) Accept() (net.Conn, error) {
	name, err := standin.Answer(l.Conn)
	if err != nil {
		return nil, err
	}
	return standin.Open("Accept", strings.TrimSpace(name))
}
