// Nriplugin is a plugin of the Node Resource Interface for tests. It writes
// what it is told to a file, one JSON record a line, and does what the
// annotations of containers ask of it: see adjust.go. It connects again
// whenever its connection is lost, until it gets a signal or, launched by the
// runtime, loses the connection it was given.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/stub"
)

func main() {
	socket := flag.String("socket", "", "NRI's socket; empty: the connection of a launched plugin")
	events := flag.String("events", os.Getenv("EVENTS"), "the file for records")
	index := flag.String("index", "", "the plugin's index")
	flag.Parse()
	if err := run(*socket, *events, *index); err != nil {
		fmt.Fprintln(os.Stderr, "nriplugin:", err)
		os.Exit(1)
	}
}

func run(socket, events, index string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	p := &plugin{}
	if events != "" {
		if err := p.open(events); err != nil {
			return err
		}
	}
	options := []stub.Option{stub.WithOnClose(func() {})} // by default it exits
	if socket != "" {
		options = append(options, stub.WithSocketPath(socket), stub.WithPluginName("test"), stub.WithPluginIdx(index))
	}
	s, err := stub.New(p, options...)
	if err != nil {
		return err
	}
	p.stub = s
	for ctx.Err() == nil {
		err := s.Run(ctx)
		if socket == "" {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// Configure of a launched plugin is told the file for records by its configuration.
func (p *plugin) Configure(_ context.Context, config, runtime, version string) (api.EventMask, error) {
	if config != "" {
		if err := p.open(config); err != nil {
			return 0, err
		}
	}
	p.record(record{Event: "Configure", Runtime: runtime, Version: version})
	return 0, nil
}
