package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/paddock-run/paddock/config"
)

// callTime bounds what a listing command asks of the daemon.
const callTime = 10 * time.Second

// newListing makes a command that asks the daemon and prints a table.
func newListing(use, short string, configPath *string, list func(context.Context, *grpc.ClientConn, io.Writer) error) *cobra.Command {
	return &cobra.Command{
		Use:   use,
		Short: short,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			conn, err := dialDaemon(*configPath)
			if err != nil {
				return err
			}
			defer conn.Close()
			ctx, cancel := context.WithTimeout(cmd.Context(), callTime)
			defer cancel()
			return list(ctx, conn, cmd.OutOrStdout())
		},
	}
}

// dialDaemon connects to the daemon that the configuration names.
func dialDaemon(configPath string) (*grpc.ClientConn, error) {
	cfg, err := config.Load(configPath)
	if err != nil {
		return nil, err
	}
	target, options, err := endpointTarget(cfg)
	if err != nil {
		return nil, err
	}
	return grpc.NewClient(target, append(options, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
}

// daemonError adds what to do when the daemon does not answer.
func daemonError(what string, err error) error {
	return fmt.Errorf("%s: %w (is `paddock serve` running, with the same --config?)", what, err)
}
