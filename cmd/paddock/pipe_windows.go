package main

import (
	"context"
	"fmt"
	"net"

	"github.com/Microsoft/go-winio"
	"google.golang.org/grpc"

	"github.com/paddock-run/paddock/config"
	"github.com/paddock-run/paddock/guest/hostpipe"
)

// pipeBuffer is what a pipe holds in each direction, in bytes.
const pipeBuffer = 64 << 10

// listen opens the pipe of the configuration. That another process has it is an
// error; a pipe goes with its process, so none is ever left over.
func listen(cfg *config.Config) (net.Listener, error) {
	path, err := cfg.Endpoint()
	if err != nil {
		return nil, err
	}
	l, err := hostpipe.Listen(path, pipeBuffer)
	if err != nil {
		return nil, fmt.Errorf("%w (is another paddock serving?)", err)
	}
	return l, nil
}

// endpointTarget is how gRPC reaches the daemon.
func endpointTarget(cfg *config.Config) (string, []grpc.DialOption, error) {
	path, err := cfg.Endpoint()
	if err != nil {
		return "", nil, err
	}
	dial := func(ctx context.Context, _ string) (net.Conn, error) { return winio.DialPipeContext(ctx, path) }
	return "passthrough:///paddock", []grpc.DialOption{grpc.WithContextDialer(dial)}, nil
}
