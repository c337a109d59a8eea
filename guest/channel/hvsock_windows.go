package channel

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/Microsoft/go-winio"
	"github.com/Microsoft/go-winio/pkg/guid"
	"golang.org/x/sys/windows"
)

func openHvsock(rest string) (Dialer, error) {
	vm, err := guid.FromString(rest)
	if err != nil {
		return nil, fmt.Errorf("channel address hvsock:%s: %w", rest, err)
	}
	return newSocketDialer(func(ctx context.Context, port uint32) (net.Conn, error) {
		c, err := dialHvsock(ctx, &winio.HvsockAddr{VMID: vm, ServiceID: winio.VsockServiceID(port)})
		if errors.Is(err, windows.WSAECONNREFUSED) {
			return nil, fmt.Errorf("%w: nothing listens on port %d of guest hvsock:%s: %w", ErrRefused, port, rest, err)
		}
		if err != nil {
			return nil, fmt.Errorf("dial port %d of guest hvsock:%s: %w", port, rest, err)
		}
		return c, nil
	}), nil
}
