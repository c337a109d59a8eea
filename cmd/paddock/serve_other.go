//go:build !linux && !windows

package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/paddock-run/paddock/config"
)

func serve(context.Context, *config.Config) error {
	return errors.New("serving needs a Linux or Windows host")
}

func runHelperProcess([]string) {}

// hostCommands: there are none on this host.
func hostCommands(*string) []*cobra.Command { return nil }
