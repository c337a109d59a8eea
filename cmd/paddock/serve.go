package main

import (
	"context"
	"flag"
	"os/signal"
	"strconv"
	"syscall"

	containerdlog "github.com/containerd/log"
	"github.com/spf13/cobra"
	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/config"
)

func newServe(configPath *string) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Serve CRI until SIGINT or SIGTERM; pods go on running",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(*configPath)
			if err != nil {
				return err
			}
			if err := setLogLevel(cfg.LogLevel); err != nil {
				return err
			}
			defer klog.Flush()
			return runAsService(cfg, func(ctx context.Context) error {
				ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
				defer stop()
				return serve(ctx, cfg)
			})
		},
	}
}

func setLogLevel(level int) error {
	fs := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(fs)
	if err := fs.Set("v", strconv.Itoa(level)); err != nil {
		return err
	}
	if level < 4 { // containerd's libraries speak through a logger of their own
		return containerdlog.SetLevel("error")
	}
	return nil
}

// daemon is what serve puts together, to take apart in reverse.
type daemon struct {
	closers []func() error
}

func (d *daemon) onClose(f func() error) { d.closers = append(d.closers, f) }

func (d *daemon) close(ctx context.Context) {
	for i := len(d.closers) - 1; i >= 0; i-- {
		if err := d.closers[i](); err != nil {
			klog.FromContext(ctx).Error(err, "Closing")
		}
	}
}
