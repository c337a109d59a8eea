//go:build !windows

package main

import (
	"context"

	"github.com/paddock-run/paddock/config"
)

// runAsService runs the daemon; a service manager of this host needs no more than signals.
func runAsService(_ *config.Config, run func(context.Context) error) error {
	return run(context.Background())
}
