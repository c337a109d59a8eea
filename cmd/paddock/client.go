package main

import (
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/paddock-run/paddock/config"
)

// dialDaemon connects to the daemon that the configuration names.
func dialDaemon(configPath string) (*grpc.ClientConn, error) {
	cfg, err := config.Load(configPath)
	if err != nil {
		return nil, err
	}
	return grpc.NewClient(cfg.Socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
}

// daemonError adds what to do when the daemon does not answer.
func daemonError(what string, err error) error {
	return fmt.Errorf("%s: %w (is `paddock serve` running, with the same --config?)", what, err)
}
