package cri

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/imageservice"
	"github.com/paddock-run/paddock/podsandbox"
)

// maxMessageSize is the largest gRPC message, as kubelet's client has it.
const maxMessageSize = 16 << 20

// gracePeriod is how long calls in flight may take when the server stops.
const gracePeriod = 10 * time.Second

// Server implements RuntimeService and ImageService. The Unsafe servers are
// embedded, and not the Unimplemented ones, so that a new RPC is a compile error.
type Server struct {
	runtimeapi.UnsafeRuntimeServiceServer
	runtimeapi.UnsafeImageServiceServer

	cfg       Config
	runtime   podsandbox.Runtime
	images    imageservice.Service
	streaming *streamingServer
	stats     *statsCollector

	// stopping is closed when endless streams have to end.
	stopping chan struct{}
	stopOnce sync.Once
}

var (
	_ runtimeapi.RuntimeServiceServer = (*Server)(nil)
	_ runtimeapi.ImageServiceServer   = (*Server)(nil)
)

// New makes a Server and starts its streaming server. Close ends both.
func New(cfg Config, rt podsandbox.Runtime, images imageservice.Service) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, runtime: rt, images: images, stopping: make(chan struct{})}
	s.stats = newStatsCollector(rt, cfg.StatsTimeout)
	s.streaming, err = startStreaming(cfg, rt)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Register adds both services to a gRPC server made with ServerOptions.
func (s *Server) Register(g *grpc.Server) {
	runtimeapi.RegisterRuntimeServiceServer(g, s)
	runtimeapi.RegisterImageServiceServer(g, s)
}

// ServerOptions are the options that a gRPC server of CRI needs.
func ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxRecvMsgSize(maxMessageSize),
		grpc.MaxSendMsgSize(maxMessageSize),
		grpc.ChainUnaryInterceptor(unaryInterceptor),
		grpc.ChainStreamInterceptor(streamInterceptor),
	}
}

// Serve answers on a listener (a Unix socket, or a pipe on Windows) until ctx
// ends; then it lets calls in flight finish for a while and closes the Server.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	g := grpc.NewServer(ServerOptions()...)
	s.Register(g)
	failed := make(chan error, 1)
	go func() { failed <- g.Serve(l) }()
	select {
	case err := <-failed:
		s.Close()
		return fmt.Errorf("serving CRI on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	klog.FromContext(ctx).Info("CRI server is stopping", "address", l.Addr().String())
	s.stopOnce.Do(func() { close(s.stopping) })
	stopGracefully(g)
	<-failed
	return s.Close()
}

// stopGracefully stops g, by force after gracePeriod.
func stopGracefully(g *grpc.Server) {
	done := make(chan struct{})
	go func() { g.GracefulStop(); close(done) }()
	select {
	case <-done:
	case <-time.After(gracePeriod):
		g.Stop()
		<-done
	}
}

// Close ends streams and the streaming server. It may be called more than once.
func (s *Server) Close() error {
	s.stopOnce.Do(func() { close(s.stopping) })
	return s.streaming.close()
}
