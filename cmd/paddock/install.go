package main

import (
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/paddock-run/paddock/config"
	"github.com/paddock-run/paddock/install"
)

func newInstall() *cobra.Command {
	var root string
	var check, wait bool
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Put this program, its guest image and units of systemd onto a Linux node",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			exe, err := os.Executable()
			if err != nil {
				return err
			}
			defaults, err := config.Load("")
			if err != nil {
				return err
			}
			source := install.Source{Program: exe, GuestDir: defaults.ResolveGuestDir(), Config: config.Default}
			if check {
				err = install.Check(root, source)
			} else {
				var changed []string
				changed, err = install.Install(root, source)
				if len(changed) > 0 {
					fmt.Fprintf(cmd.OutOrStdout(), "installed:\n  /%s\n", strings.Join(changed, "\n  /"))
				}
			}
			if err != nil {
				return err
			}
			if wait {
				<-ctx.Done()
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&root, "root", "/", "where the node's root, or the folders to write to, are mounted")
	cmd.Flags().BoolVar(&check, "check", false, "change nothing; fail if something is not as it would be installed")
	cmd.Flags().BoolVar(&wait, "wait", false, "then wait for SIGTERM, as a DaemonSet's container does")
	return cmd
}
