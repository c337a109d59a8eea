//go:build linux

package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/guest/agent/relay"
	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/guest/channel"
	"github.com/paddock-run/paddock/guest/stream"
)

// headerTimeout bounds the wait for a connection's header.
const headerTimeout = 30 * time.Second

// ServeStreams serves stream connections until the listener fails. With
// sharesOnly all but the streams of file systems are refused.
func (a *Agent) ServeStreams(ctx context.Context, l net.Listener, sharesOnly bool) error {
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer func() {
				if p := recover(); p != nil {
					klog.ErrorS(nil, "stream panicked", "panic", p, "stack", string(debug.Stack()))
					channel.Abort(conn)
				}
			}()
			if err := a.serveStream(ctx, conn, sharesOnly); err != nil {
				klog.V(2).InfoS("Stream ended", "err", err)
			}
		}()
	}
}

// serveStream answers one connection. Whoever serves it closes it.
func (a *Agent) serveStream(ctx context.Context, conn net.Conn, sharesOnly bool) error {
	conn.SetDeadline(time.Now().Add(headerTimeout))
	header, err := stream.ReadHeader(conn)
	if err != nil {
		channel.Abort(conn)
		return err
	}
	conn.SetDeadline(time.Time{})
	switch kind := header.Kind.(type) {
	case *api.StreamHeader_Share:
		return a.serveShare(conn, kind.Share.GetShareId())
	case *api.StreamHeader_Mount:
		return a.serveMount(conn, kind.Mount)
	}
	if sharesOnly {
		return refuse(conn, status.Error(codes.PermissionDenied, "only streams of file systems are served here"))
	}
	switch kind := header.Kind.(type) {
	case *api.StreamHeader_Stdio:
		return a.serveStdio(conn, kind.Stdio)
	case *api.StreamHeader_PortForward:
		return a.forwardPort(ctx, conn, kind.PortForward.GetPort())
	}
	return refuse(conn, invalid("unknown kind of stream"))
}

func refuse(conn net.Conn, err error) error {
	defer conn.Close()
	return errors.Join(err, stream.WriteError(conn, asStatus(err)))
}

func (a *Agent) serveShare(conn net.Conn, id string) error {
	if err := checkID("share", id); err != nil {
		return refuse(conn, err)
	}
	if err := stream.WriteReply(conn, &api.StreamReply{}); err != nil {
		channel.Abort(conn)
		return err
	}
	a.shares.Register(id, conn)
	return nil
}

func (a *Agent) serveStdio(conn net.Conn, s *api.StdioStream) error {
	_, p, err := a.process(s.ContainerId, s.ExecId)
	if err != nil {
		return refuse(conn, err)
	}
	switch {
	case s.Stdio == api.Stdio_STDIO_STDIN:
		return p.stdin.serve(conn)
	case s.Stdio == api.Stdio_STDIO_STDOUT:
		return p.stdout.Serve(conn, s.Offset)
	case s.Stdio == api.Stdio_STDIO_STDERR && p.stderr != nil:
		return p.stderr.Serve(conn, s.Offset)
	}
	return refuse(conn, notFound("the process has no %v", s.Stdio))
}

// forwardPort connects to a listener on the pod's localhost.
func (a *Agent) forwardPort(ctx context.Context, conn net.Conn, port uint32) error {
	if port == 0 || port > 65535 {
		return refuse(conn, invalid("port %d: want 1 to 65535", port))
	}
	var target net.Conn
	err := a.podNamespaces().inside(func() (err error) {
		target, err = dialLocal(ctx, strconv.Itoa(int(port)))
		return err
	})
	if err != nil {
		return refuse(conn, status.Errorf(codes.Unavailable, "connect to port %d of the pod's localhost: %v", port, err))
	}
	defer target.Close()
	defer conn.Close()
	if err := stream.WriteReply(conn, &api.StreamReply{}); err != nil {
		return err
	}
	// An aborted stream ends the other direction too.
	if err := relay.Both(target, conn, func() { channel.Abort(conn) }); err != nil {
		return fmt.Errorf("forward port %d: %w", port, err)
	}
	return nil
}

func dialLocal(ctx context.Context, port string) (net.Conn, error) {
	var failed error
	for _, host := range []string{"127.0.0.1", "::1"} {
		d := net.Dialer{Timeout: 5 * time.Second}
		conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(host, port))
		if err == nil {
			return conn, nil
		}
		failed = errors.Join(failed, err)
	}
	return nil, failed
}
