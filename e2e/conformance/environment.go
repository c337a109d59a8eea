package conformance

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/paddock-run/paddock/e2e/cninet"
	"github.com/paddock-run/paddock/e2e/daemon"
	"github.com/paddock-run/paddock/e2e/leakcheck"
	"github.com/paddock-run/paddock/e2e/registry"
)

// Environment is a daemon with a network and a registry of its own.
type Environment struct {
	// Socket serves CRI. TempDir is for the suite.
	Socket, TempDir string

	root, state string
	scope       leakcheck.Scope
	before      leakcheck.Snapshot
	undo        []func() error
	daemon      *daemon.Daemon
}

// Start brings everything up. Close the environment even when it fails.
func Start(ctx context.Context, made, moduleDir string) (*Environment, error) {
	e := &Environment{}
	return e, e.start(ctx, made, moduleDir)
}

func (e *Environment) start(ctx context.Context, made, moduleDir string) (err error) {
	if e.root, err = os.MkdirTemp("/var/tmp", "pdkconf"); err != nil {
		return err
	}
	if e.state, err = os.MkdirTemp("/run", "pdkconf"); err != nil {
		return err
	}
	e.TempDir, e.Socket = filepath.Join(e.root, "tmp"), filepath.Join(e.state, "cri.sock")
	if err := os.Mkdir(e.TempDir, 0o755); err != nil {
		return err
	}
	network, err := cninet.New(e.root, "pdkt")
	if err != nil {
		return err
	}
	e.scope = leakcheck.Scope{Dirs: []string{e.root, e.state}, Network: network}
	if e.before, err = leakcheck.Take(e.scope); err != nil {
		return err
	}
	reg, err := registry.Start(filepath.Join(e.root, "registry"))
	if err != nil {
		return err
	}
	e.undo = append(e.undo, reg.Close)
	if err := PushImages(ctx, reg, made, moduleDir); err != nil {
		return err
	}
	certs := filepath.Join(e.root, "certs.d")
	if err := WriteMirrors(reg, certs); err != nil {
		return err
	}
	e.daemon, err = daemon.New(daemon.Options{
		Root: filepath.Join(e.root, "d"), State: filepath.Join(e.state, "s"), Socket: e.Socket,
		CertsDir: certs, Network: network, LogLevel: 4,
	})
	if err != nil {
		return err
	}
	e.undo = append(e.undo, network.Remove, e.daemon.Stop)
	if err := e.daemon.Start(ctx); err != nil {
		return err
	}
	client, err := e.daemon.Dial()
	if err != nil {
		return err
	}
	e.undo = append(e.undo, client.Close, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		return client.RemoveAll(ctx)
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
	if e.daemon != nil {
		if log, err := os.ReadFile(e.daemon.LogFile); err == nil {
			errs = append(errs, os.WriteFile(keepLog, log, 0o644))
		}
	}
	if e.before != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := leakcheck.Check(ctx, e.scope, e.before); err != nil {
			return errors.Join(append(errs, err)...) // the folders stay, for a look
		}
	}
	for _, dir := range []string{e.root, e.state} {
		if dir != "" {
			errs = append(errs, os.RemoveAll(dir))
		}
	}
	return errors.Join(errs...)
}
