//go:build !wine

package guestsockets

import (
	"net"

	"github.com/Microsoft/go-winio"
)

// listenHvsock listens on a socket of AF_HYPERV.
func listenHvsock(addr *winio.HvsockAddr) (net.Listener, error) {
	l, err := winio.ListenHvsock(addr)
	if err != nil {
		return nil, err // not a nil *HvsockListener as a net.Listener
	}
	return l, nil
}
