//go:build !windows

package main

import (
	"google.golang.org/grpc"

	"github.com/paddock-run/paddock/config"
)

// endpointTarget is how gRPC reaches the daemon.
func endpointTarget(cfg *config.Config) (string, []grpc.DialOption, error) {
	return cfg.Socket, nil, nil
}
