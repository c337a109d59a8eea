//go:build linux

package agent

import (
	"context"
	"fmt"
	"net"
	"runtime/debug"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/guest/api"
)

// ServeControl answers control connections until the listener fails. ttrpc
// bounds a message at 4 MiB.
func (a *Agent) ServeControl(ctx context.Context, l net.Listener) error {
	server, err := ttrpc.NewServer(ttrpc.WithUnaryServerInterceptor(surviveHandler))
	if err != nil {
		return fmt.Errorf("make the control server: %w", err)
	}
	api.RegisterAgentService(server, a)
	return server.Serve(ctx, l)
}

// surviveHandler turns a handler's panic into an error: PID 1 must not end.
func surviveHandler(ctx context.Context, unmarshal ttrpc.Unmarshaler, info *ttrpc.UnaryServerInfo, method ttrpc.Method) (resp any, err error) {
	defer func() {
		if p := recover(); p != nil {
			klog.ErrorS(nil, "handler panicked", "method", info.FullMethod, "panic", p, "stack", string(debug.Stack()))
			resp, err = nil, status.Errorf(codes.Internal, "%s: the agent failed: %v", info.FullMethod, p)
		}
	}()
	resp, err = method(ctx, unmarshal)
	if err != nil && klog.V(2).Enabled() {
		klog.InfoS("call failed", "method", info.FullMethod, "err", err)
	}
	return resp, asStatus(err)
}
