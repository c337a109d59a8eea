// Package environment brings up a daemon with a network and a registry of its
// own, for suites and tools that run on it, and takes all of it down without a trace.
package environment

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/paddock-run/paddock/e2e/cninet"
	"github.com/paddock-run/paddock/e2e/criclient"
	"github.com/paddock-run/paddock/e2e/daemon"
	"github.com/paddock-run/paddock/e2e/leakcheck"
	"github.com/paddock-run/paddock/e2e/registry"
)

// Options of an environment.
type Options struct {
	// Name starts the names of the environment's folders, Bridge (at most 8
	// characters) that of the pods' bridge.
	Name, Bridge string
	// Push fills the registry and writes the mirrors that lead to it.
	Push func(ctx context.Context, reg *registry.Registry, certsDir string) error
	// NoPool has no sandboxes made ahead: for suites of a few long pods.
	NoPool bool
	// DefaultHandler decides which platform of an image is pulled; "": the daemon's own default.
	DefaultHandler string
}

// Environment is a running daemon and what it needs.
type Environment struct {
	// Root is a folder on disk, Socket serves CRI.
	Root, Socket string
	// Client is connected to Socket.
	Client *criclient.Client
	Daemon *daemon.Daemon

	state  string
	scope  leakcheck.Scope
	before leakcheck.Snapshot
	undo   []func() error
}

// Start brings everything up. Close the environment even when it fails.
func Start(ctx context.Context, o Options) (*Environment, error) {
	e := &Environment{}
	return e, e.start(ctx, o)
}

func (e *Environment) start(ctx context.Context, o Options) (err error) {
	if os.Geteuid() != 0 {
		return errors.New("run as root: pods need network namespaces and mounts")
	}
	if e.Root, err = os.MkdirTemp("/var/tmp", o.Name); err != nil {
		return err
	}
	if e.state, err = os.MkdirTemp("/run", o.Name); err != nil {
		return err
	}
	e.Socket = filepath.Join(e.state, "cri.sock")
	network, err := cninet.New(e.Root, o.Bridge)
	if err != nil {
		return err
	}
	e.scope = leakcheck.Scope{Dirs: []string{e.Root, e.state}, Network: network}
	if e.before, err = leakcheck.Take(e.scope); err != nil {
		return err
	}
	reg, err := registry.Start(filepath.Join(e.Root, "registry"))
	if err != nil {
		return err
	}
	e.undo = append(e.undo, reg.Close)
	certs := filepath.Join(e.Root, "certs.d")
	if err := o.Push(ctx, reg, certs); err != nil {
		return err
	}
	e.Daemon, err = daemon.New(daemon.Options{
		Root: filepath.Join(e.Root, "d"), State: filepath.Join(e.state, "s"), Socket: e.Socket,
		CertsDir: certs, Network: network, LogLevel: 4, NoPool: o.NoPool, DefaultHandler: o.DefaultHandler,
	})
	if err != nil {
		return err
	}
	e.undo = append(e.undo, network.Remove, e.Daemon.Stop)
	if err := e.Daemon.Start(ctx); err != nil {
		return err
	}
	if e.Client, err = e.Daemon.Dial(); err != nil {
		return err
	}
	e.undo = append(e.undo, e.Client.Close, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		return e.Client.RemoveAll(ctx)
	})
	return nil
}

// Close removes pods left over, stops everything, and says what was left
// behind. The daemon's log is kept at keepLog.
func (e *Environment) Close(keepLog string) error {
	var errs []error
	for i := len(e.undo) - 1; i >= 0; i-- {
		errs = append(errs, e.undo[i]())
	}
	if e.Daemon != nil {
		if log, err := os.ReadFile(e.Daemon.LogFile); err == nil {
			errs = append(errs, os.WriteFile(keepLog, log, 0o644))
		}
	}
	if e.before != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := leakcheck.Check(ctx, e.scope, e.before); err != nil {
			errs = append(errs, err, fmt.Errorf("kept for a look: %s and %s", e.Root, e.state))
			return errors.Join(errs...)
		}
	}
	for _, dir := range []string{e.Root, e.state} {
		if dir != "" {
			errs = append(errs, os.RemoveAll(dir))
		}
	}
	return errors.Join(errs...)
}
