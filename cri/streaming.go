package cri

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/cri-streaming/pkg/streaming"
	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/podsandbox"
)

// streamHeaderTimeout bounds how long a client may take to say what it wants.
const streamHeaderTimeout = 30 * time.Second

// streamingServer serves exec, attach and port-forward over HTTP connections
// that turn into SPDY or WebSocket ones. A URL holds a random token that is good once and for a minute.
type streamingServer struct {
	streams streaming.Server
	runtime *streamRuntime
	grants  grants
	http    *http.Server
	// end cancels what runs for a stream: closing the HTTP server does not
	// reach connections that were taken over.
	end context.CancelFunc
	// served is closed when the HTTP server has ended.
	served chan struct{}
}

// startStreaming listens and serves until close.
func startStreaming(cfg Config, rt podsandbox.Runtime) (*streamingServer, error) {
	l, err := net.Listen("tcp", cfg.StreamAddr)
	if err != nil {
		return nil, fmt.Errorf("cri: streaming server: %w", err)
	}
	warnUnlessLoopback(l.Addr())
	c := streaming.DefaultConfig
	c.Addr = l.Addr().String()
	c.BaseURL = &url.URL{Scheme: "http", Host: c.Addr}
	c.StreamIdleTimeout = cfg.StreamIdleTimeout
	runtime := &streamRuntime{rt}
	streams, err := streaming.NewServer(c, runtime)
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("cri: streaming server: %w", err)
	}
	ctx, end := context.WithCancel(context.Background())
	s := &streamingServer{streams: streams, runtime: runtime, end: end, served: make(chan struct{})}
	s.http = &http.Server{
		Handler:           cancelOnHangup(s.handler(cfg.StreamIdleTimeout)),
		ReadHeaderTimeout: streamHeaderTimeout,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	go func() {
		defer close(s.served)
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			klog.ErrorS(err, "Streaming server ended", "address", l.Addr().String())
		}
	}()
	return s, nil
}

func warnUnlessLoopback(a net.Addr) {
	if tcp, ok := a.(*net.TCPAddr); ok && !tcp.IP.IsLoopback() {
		klog.InfoS("The streaming server listens beyond loopback: its URLs are secrets sent in the clear", "address", a.String())
	}
}

func (s *streamingServer) exec(r *runtimeapi.ExecRequest) (*runtimeapi.ExecResponse, error) {
	resp, err := s.streams.GetExec(r)
	if err != nil {
		return nil, err
	}
	return resp, s.grants.add(resp.Url, grant{exec: r})
}

func (s *streamingServer) attach(r *runtimeapi.AttachRequest) (*runtimeapi.AttachResponse, error) {
	resp, err := s.streams.GetAttach(r)
	if err != nil {
		return nil, err
	}
	return resp, s.grants.add(resp.Url, grant{attach: r})
}

func (s *streamingServer) portForward(r *runtimeapi.PortForwardRequest) (*runtimeapi.PortForwardResponse, error) {
	resp, err := s.streams.GetPortForward(r)
	if err != nil {
		return nil, err
	}
	return resp, s.grants.add(resp.Url, grant{})
}

// close ends the server and everything that streams.
func (s *streamingServer) close() error {
	s.end()
	err := s.http.Close()
	<-s.served
	return err
}
