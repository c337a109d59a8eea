package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/paddock-run/paddock/e2e/checkout"
	"github.com/paddock-run/paddock/e2e/cninet"
	"github.com/paddock-run/paddock/e2e/criclient"
	"github.com/paddock-run/paddock/e2e/crictl"
	"github.com/paddock-run/paddock/e2e/daemon"
	"github.com/paddock-run/paddock/e2e/images"
	"github.com/paddock-run/paddock/e2e/leakcheck"
	"github.com/paddock-run/paddock/e2e/registry"
)

const (
	// stateDir and socket are the daemon's defaults, so that its commands find it.
	stateDir = "/run/paddock"
	socket   = stateDir + "/paddock.sock"
	// rootDir is the sample's own. That it exists says that a state left in stateDir is ours.
	rootDir = "/var/tmp/paddock-sample"

	imageHost   = "sample.paddock.test"
	sampleImage = imageHost + "/web:1"
)

// environment is all that the sample runs.
type environment struct {
	timer   timer
	network *cninet.Network
	daemon  *daemon.Daemon
	client  *criclient.Client
	crictl  string

	scope  leakcheck.Scope
	before leakcheck.Snapshot
	ids    []string
	undo   []func(context.Context) error
}

// prepare refuses to disturb a daemon that is in earnest, and remembers what the machine looks like.
func prepare() (*environment, error) {
	if err := stopEarlier(); err != nil {
		return nil, err
	}
	if conn, err := net.Dial("unix", socket); err == nil {
		conn.Close()
		return nil, fmt.Errorf("a daemon serves on %s already; stop it first", socket)
	}
	_, ours := os.Stat(rootDir)
	if _, err := os.Stat(stateDir); err == nil && ours != nil {
		return nil, fmt.Errorf("%s belongs to a Paddock that is installed here; the sample would disturb its pods", stateDir)
	}
	if err := os.MkdirAll(rootDir, 0o755); err != nil {
		return nil, err
	}
	e := &environment{}
	var err error
	if e.network, err = cninet.New(rootDir, bridgePrefix); err != nil {
		return nil, err
	}
	e.scope = leakcheck.Scope{
		Dirs: []string{rootDir, stateDir}, Network: e.network,
		IDs: func() []string { return e.ids },
	}
	e.before, err = leakcheck.Take(e.scope)
	return e, err
}

// start brings registry and daemon up.
func (e *environment) start(ctx context.Context) error {
	reg, err := registry.Start(filepath.Join(rootDir, "registry"))
	if err != nil {
		return err
	}
	e.undo = append(e.undo, func(context.Context) error { return reg.Close() })
	if err := e.timer.step("make and push the sample image", func() error { return pushSample(ctx, reg) }); err != nil {
		return err
	}
	certs := filepath.Join(rootDir, "certs.d")
	if err := reg.WriteMirror(certs, imageHost); err != nil {
		return err
	}
	if err := e.timer.step("build crictl", func() error {
		e.crictl, err = crictl.Build(ctx)
		return err
	}); err != nil {
		return err
	}
	e.daemon, err = daemon.New(daemon.Options{
		Root: daemonDir, State: stateDir, Socket: socket,
		CertsDir: certs, Network: e.network,
	})
	if err != nil {
		return err
	}
	e.undo = append(e.undo, func(context.Context) error { return e.daemon.Stop() })
	if err := e.timer.step("start the daemon", func() error { return e.daemon.Start(ctx) }); err != nil {
		return err
	}
	if e.client, err = e.daemon.Dial(); err != nil {
		return err
	}
	e.undo = append(e.undo, func(ctx context.Context) error {
		return errors.Join(e.client.RemoveAll(ctx), e.client.Close())
	})
	// What an earlier run left that was killed.
	if err := e.client.RemoveAll(ctx); err != nil {
		return err
	}
	return removeEarlierBridges(e.network.Bridge)
}

func pushSample(ctx context.Context, reg *registry.Registry) error {
	root, err := checkout.Root()
	if err != nil {
		return err
	}
	img, err := images.WebServerEverywhere(filepath.Join(root, "e2e"))
	if err != nil {
		return err
	}
	_, err = reg.Push(ctx, "web:1", img)
	return err
}

// close undoes start, and looks at what is left.
func (e *environment) close(ctx context.Context) error {
	var errs []error
	for i := len(e.undo) - 1; i >= 0; i-- {
		errs = append(errs, e.undo[i](ctx))
	}
	errs = append(errs, leakcheck.Check(ctx, e.scope, e.before), e.network.Remove())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w\nthe daemon's log is kept: %s", err, filepath.Join(daemonDir, "daemon.log"))
	}
	if e.client == nil {
		return nil // the daemon did not start: what may be there is for the next run to take over
	}
	return errors.Join(os.RemoveAll(stateDir), os.RemoveAll(rootDir))
}
