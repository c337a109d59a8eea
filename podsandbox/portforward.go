package podsandbox

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	guestapi "github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/guest/channel"
)

// PortForward copies between stream and a TCP port on the pod's localhost
// until either ends. It closes stream.
func (m *Manager) PortForward(ctx context.Context, sandboxID string, port uint16, stream io.ReadWriteCloser) error {
	defer stream.Close()
	s, err := m.sandbox(sandboxID)
	if err != nil {
		return err
	}
	if port == 0 {
		return fmt.Errorf("%w: port 0", ErrInvalid)
	}
	ctx, leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	conn, err := m.dialPod(ctx, s, port)
	if err != nil {
		return fmt.Errorf("forward to port %d of sandbox %s: %w", port, s.id, err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	go func() {
		io.Copy(conn, stream)
		if half, ok := conn.(channel.CloseWriter); ok {
			half.CloseWrite()
		}
	}()
	_, err = io.Copy(stream, conn)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// dialPod connects to a port of the pod's localhost. A Windows guest's service leads
// nowhere: there the pod's address is all that can be dialled.
func (m *Manager) dialPod(ctx context.Context, s *sandbox, port uint16) (net.Conn, error) {
	if !m.windowsGuest(s.os()) {
		return openStream(ctx, s.vm, &guestapi.StreamHeader{Kind: &guestapi.StreamHeader_PortForward{
			PortForward: &guestapi.PortForwardStream{Port: uint32(port)},
		}})
	}
	for _, i := range s.status.Load().Network.Interfaces {
		for _, a := range i.Addresses {
			dialer := net.Dialer{Timeout: dialPodTime}
			return dialer.DialContext(ctx, "tcp", netip.AddrPortFrom(a.Addr(), port).String())
		}
	}
	return nil, fmt.Errorf("%w: the pod has no address", ErrUnavailable)
}

// dialPodTime bounds a connection to a pod's own address.
const dialPodTime = 10 * time.Second
