package main

import (
	"context"
	"fmt"
	"net"

	"github.com/Microsoft/go-winio"
	"google.golang.org/grpc"

	"github.com/paddock-run/paddock/config"
)

// pipeSecurity admits SYSTEM and the members of Administrators, and nobody else:
// who may open the pipe may run anything as SYSTEM. (D:P: no inherited rights; GA: all access.)
const pipeSecurity = "D:P(A;;GA;;;SY)(A;;GA;;;BA)"

// pipeBuffer is what a pipe holds in each direction, in bytes.
const pipeBuffer = 64 << 10

// listen opens the pipe of the configuration. That another process has it is an
// error; a pipe goes with its process, so none is ever left over.
func listen(cfg *config.Config) (net.Listener, error) {
	path, err := cfg.Endpoint()
	if err != nil {
		return nil, err
	}
	l, err := winio.ListenPipe(path, &winio.PipeConfig{SecurityDescriptor: pipeSecurity, InputBufferSize: pipeBuffer, OutputBufferSize: pipeBuffer})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w (is another paddock serving?)", path, err)
	}
	settlePipe(path)
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
