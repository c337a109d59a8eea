package channel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"

	"github.com/mdlayher/vsock"
	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"
)

func openVsock(rest string) (Dialer, error) {
	cid, err := strconv.ParseUint(rest, 10, 32)
	if err != nil {
		return nil, err
	}
	return newSocketDialer(func(ctx context.Context, port uint32) (net.Conn, error) {
		return dialVsock(ctx, uint32(cid), port)
	}), nil
}

// dialVsock connects in a goroutine of its own, as the library's Dial knows no
// context; a connection that comes too late is closed.
func dialVsock(ctx context.Context, cid, port uint32) (net.Conn, error) {
	type result struct {
		conn *vsock.Conn
		err  error
	}
	ch := make(chan result, 1)
	go func() {
		c, err := vsock.Dial(cid, port, nil)
		ch <- result{c, err}
	}()
	select {
	case r := <-ch:
		if r.err == nil {
			return r.conn, nil
		}
		// A guest without a listener answers a connection with a reset.
		if errors.Is(r.err, syscall.ECONNRESET) || errors.Is(r.err, syscall.ECONNREFUSED) {
			return nil, fmt.Errorf("%w: nothing listens on port %d of guest vsock:%d: %w", ErrRefused, port, cid, r.err)
		}
		return nil, fmt.Errorf("dial port %d of guest vsock:%d: %w", port, cid, r.err)
	case <-ctx.Done():
		go func() {
			if r := <-ch; r.err == nil {
				r.conn.Close()
			}
		}()
		return nil, fmt.Errorf("dial port %d of guest vsock:%d: %w", port, cid, ctx.Err())
	}
}

// ListenVsock listens on a vsock port in the guest. Connections from anything
// but the host are closed at once, so that nothing in the guest reaches it.
func ListenVsock(port uint32) (net.Listener, error) {
	l, err := vsock.ListenContextID(unix.VMADDR_CID_ANY, port, nil)
	if err != nil {
		return nil, fmt.Errorf("listen on vsock port %d: %w", port, err)
	}
	return &hostOnlyListener{Listener: l, isHost: func(a net.Addr) bool {
		v, ok := a.(*vsock.Addr)
		return ok && v.ContextID == vsock.Host
	}}, nil
}

// hostOnlyListener accepts the connections whose remote address is the host's.
type hostOnlyListener struct {
	net.Listener
	isHost func(net.Addr) bool
}

func (l *hostOnlyListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.isHost(c.RemoteAddr()) {
			return c, nil
		}
		klog.InfoS("Refused a connection that is not the host's", "from", c.RemoteAddr().String())
		c.Close()
	}
}

// socketPeerPresent tells whether a socket's peer still reads: a stream socket
// answers an empty send with EPIPE once the peer has closed altogether.
func socketPeerPresent(conn net.Conn) bool {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	present := false
	err = raw.Control(func(fd uintptr) {
		serr := unix.Sendto(int(fd), nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, nil)
		present = serr == nil || serr == unix.EAGAIN
	})
	return err == nil && present
}
