//go:build !wine

package channel

import (
	"context"
	"net"

	"github.com/Microsoft/go-winio"
)

// dialHvsock opens an AF_HYPERV connection.
func dialHvsock(ctx context.Context, addr *winio.HvsockAddr) (net.Conn, error) {
	c, err := winio.Dial(ctx, addr)
	if err != nil {
		return nil, err // not a nil *HvsockConn as a net.Conn
	}
	return c, nil
}
