//go:build !linux

package channel

import (
	"fmt"
	"net"
)

func openVsock(rest string) (Dialer, error) {
	return nil, fmt.Errorf("%w: AF_VSOCK to guest %s needs a Linux host", ErrUnsupported, rest)
}

// socketPeerPresent cannot be asked here; guests are Linux.
func socketPeerPresent(net.Conn) bool { return true }
