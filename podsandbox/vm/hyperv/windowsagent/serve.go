package windowsagent

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/guest/channel"
	"github.com/paddock-run/paddock/guest/stream"
)

// headerTimeout bounds the wait for a stream's header.
const headerTimeout = 30 * time.Second

// Dial connects to one of the ports of guest/api, as the VM's Dial does for guests
// of our own.
func (a *Agent) Dial(ctx context.Context, port uint32) (net.Conn, error) {
	if a.life.Err() != nil {
		return nil, net.ErrClosed
	}
	host, guest := newDuplex()
	switch port {
	case api.ControlPort:
		if err := a.control.put(ctx, guest); err != nil {
			return nil, err
		}
	case api.StreamPort:
		go a.serveStream(guest)
	default:
		return nil, fmt.Errorf("%w: nothing listens on port %d of a Windows VM's agent", channel.ErrRefused, port)
	}
	return host, nil
}

func (a *Agent) serveControl() error {
	server, err := ttrpc.NewServer(ttrpc.WithUnaryServerInterceptor(asStatus))
	if err != nil {
		return fmt.Errorf("make the control server of a Windows VM's agent: %w", err)
	}
	api.RegisterAgentService(server, a)
	go func() {
		<-a.life.Done()
		server.Close()
	}()
	go server.Serve(a.life, a.control) //nolint:errcheck // ends with the agent
	return nil
}

// asStatus gives every error a gRPC status, as callers of guest/api expect.
func asStatus(ctx context.Context, unmarshal ttrpc.Unmarshaler, info *ttrpc.UnaryServerInfo, method ttrpc.Method) (any, error) {
	resp, err := method(ctx, unmarshal)
	if err == nil {
		return resp, nil
	}
	klog.V(2).InfoS("A call to a Windows guest failed", "method", info.FullMethod, "err", err)
	return nil, toStatus(err)
}

// serveStream answers one connection. Whoever serves it closes it.
func (a *Agent) serveStream(conn *duplex) {
	conn.SetDeadline(time.Now().Add(headerTimeout))
	header, err := stream.ReadHeader(conn)
	if err != nil {
		conn.Close()
		return
	}
	conn.SetDeadline(time.Time{})
	s, ok := header.Kind.(*api.StreamHeader_Stdio)
	if !ok {
		refuse(conn, status.Error(codes.Unimplemented, "a Windows VM on a Windows host has no such stream: ports are reached by the pod's address"))
		return
	}
	p, err := a.process(s.Stdio.ContainerId, s.Stdio.ExecId)
	if err != nil {
		refuse(conn, err)
		return
	}
	p.serve(conn, s.Stdio)
}

func refuse(conn net.Conn, err error) {
	defer conn.Close()
	_ = stream.WriteError(conn, toStatus(err)) // to one who may have gone
}

// queue is a net.Listener of connections made within this process.
type queue struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newQueue() *queue { return &queue{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (q *queue) put(ctx context.Context, c net.Conn) error {
	select {
	case q.conns <- c:
		return nil
	case <-q.closed:
		return net.ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Accept implements net.Listener.
func (q *queue) Accept() (net.Conn, error) {
	select {
	case c := <-q.conns:
		return c, nil
	case <-q.closed:
		return nil, net.ErrClosed
	}
}

// Addr implements net.Listener.
func (q *queue) Addr() net.Addr { return address{} }

// Close implements net.Listener.
func (q *queue) Close() error {
	q.once.Do(func() { close(q.closed) })
	return nil
}
