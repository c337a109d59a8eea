package main

import (
	"github.com/spf13/cobra"

	"github.com/paddock-run/paddock/network/tap"
)

func newCNIConfig() *cobra.Command {
	return &cobra.Command{
		Use:   "cni-config",
		Short: "Print a simple pod network for cni.confDir: bridge, IPv4 and IPv6, host ports",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(tap.DefaultConflist())
			return err
		},
	}
}
