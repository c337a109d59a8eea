// Command healthserver is what probes of test pods ask: it is healthy over HTTP
// (/healthz), gRPC (its health protocol) and TCP (a port that is open), until
// /set?healthy=false is asked for, and again after /set?healthy=true.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

func main() {
	httpAddr := flag.String("http", ":8080", "where HTTP is served")
	grpcAddr := flag.String("grpc", ":9090", "where gRPC is served")
	tcpAddr := flag.String("tcp", ":7070", "what is open while the server is healthy")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	s := &state{tcpAddr: *tcpAddr, grpc: health.NewServer()}
	if err := s.set(true); err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal(s.serveGRPC(*grpcAddr)) }()
	go func() { log.Fatal(http.ListenAndServe(*httpAddr, s.handler())) }()
	<-ctx.Done()
}

// state is how the server feels.
type state struct {
	tcpAddr string
	grpc    *health.Server

	mu      sync.Mutex
	healthy bool
	tcp     net.Listener // nil while unhealthy
}

func (s *state) set(healthy bool) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case healthy && s.tcp == nil:
		if s.tcp, err = net.Listen("tcp", s.tcpAddr); err != nil {
			return err
		}
		go accept(s.tcp)
	case !healthy && s.tcp != nil:
		err = s.tcp.Close()
		s.tcp = nil
	}
	s.healthy = healthy
	status := healthpb.HealthCheckResponse_SERVING
	if !healthy {
		status = healthpb.HealthCheckResponse_NOT_SERVING
	}
	s.grpc.SetServingStatus("", status)
	return err
}

// accept closes each connection at once.
func accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			conn.Close()
		}
	}
}

func (s *state) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.healthy {
			http.Error(w, "not healthy", http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("/set", func(w http.ResponseWriter, r *http.Request) {
		if err := s.set(r.FormValue("healthy") == "true"); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintln(w, "done")
	})
	return mux
}

func (s *state) serveGRPC(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	healthpb.RegisterHealthServer(server, s.grpc)
	return server.Serve(l)
}
