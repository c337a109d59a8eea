package tests

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/paddock-run/paddock/e2e/checkout"
	"github.com/paddock-run/paddock/e2e/cninet"
	"github.com/paddock-run/paddock/e2e/criclient"
	"github.com/paddock-run/paddock/e2e/crictl"
	"github.com/paddock-run/paddock/e2e/daemon"
	"github.com/paddock-run/paddock/e2e/images"
	"github.com/paddock-run/paddock/e2e/leakcheck"
	"github.com/paddock-run/paddock/e2e/registry"
)

// host is the image host's name in tests: a mirror in the daemon's
// configuration leads it to the registry.
const host = "paddock.test"

// Images that the registry holds.
const (
	busybox    = host + "/busybox:1"
	configured = host + "/configured:1"
	files      = host + "/files:1"
	layered    = host + "/layered:1"
	pinned     = host + "/pinned:1"
	web        = host + "/web:1"
	winprobe   = host + "/winprobe:1"   // for Windows
	natsServer = host + "/nats:1"       // for Windows
	everywhere = host + "/everywhere:1" // web, for Linux and Windows
)

// environment is what every test shares.
type environment struct {
	daemon  *daemon.Daemon
	cli     crictl.CLI
	client  *criclient.Client
	network *cninet.Network
	root    string // on disk: the daemon's data, pods' logs and volumes
	state   string

	mu  sync.Mutex
	ids []string // of every sandbox and container made
}

var env environment

func TestMain(m *testing.M) {
	flag.Parse()
	if os.Geteuid() != 0 {
		fmt.Println("SKIP: end-to-end tests need root, for network namespaces and mounts")
		os.Exit(0)
	}
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "FAIL:", err)
		code = 1
	}
	os.Exit(code)
}

// run brings the environment up, runs the tests, takes it down, and looks at what is left.
func run(m *testing.M) (code int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	if env.root, err = os.MkdirTemp("/var/tmp", "pdk"); err != nil {
		return 1, err
	}
	if env.state, err = os.MkdirTemp("/run", "pdk"); err != nil {
		return 1, err
	}
	defer func() {
		if code == 0 && err == nil {
			err = errors.Join(os.RemoveAll(env.root), os.RemoveAll(env.state))
		} else {
			fmt.Fprintf(os.Stderr, "kept for a look: %s (daemon.log, logs) and %s\n", env.root, env.state)
		}
	}()
	if env.network, err = cninet.New(env.root, "pdke"); err != nil {
		return 1, err
	}
	scope := leakcheck.Scope{Dirs: []string{env.root, env.state}, Network: env.network, IDs: env.allIDs}
	before, err := leakcheck.Take(scope)
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, env.network.Remove()) }()
	down, err := env.up(ctx)
	if err != nil {
		return 1, errors.Join(err, down())
	}
	code = m.Run()
	if err := down(); err != nil {
		return 1, err
	}
	ctx, cancel = context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return code, leakcheck.Check(ctx, scope, before)
}

// up starts registry and daemon. down undoes as much as was done.
func (e *environment) up(ctx context.Context) (down func() error, err error) {
	var undo []func() error
	down = func() error {
		var errs []error
		for i := len(undo) - 1; i >= 0; i-- {
			errs = append(errs, undo[i]())
		}
		return errors.Join(errs...)
	}
	reg, err := registry.Start(filepath.Join(e.root, "registry"))
	if err != nil {
		return down, err
	}
	undo = append(undo, reg.Close)
	if err := push(ctx, reg); err != nil {
		return down, err
	}
	certs := filepath.Join(e.root, "certs.d")
	if err := reg.WriteMirror(certs, host); err != nil {
		return down, err
	}
	e.cli.Socket = filepath.Join(e.state, "cri.sock")
	if e.cli.Path, err = crictl.Build(ctx); err != nil {
		return down, err
	}
	e.daemon, err = daemon.New(daemon.Options{
		Root: filepath.Join(e.root, "d"), State: filepath.Join(e.state, "s"), Socket: e.cli.Socket,
		CertsDir: certs, Network: e.network, LogLevel: 4,
		CDISpecDirs: []string{e.cdiDir()}, PinnedImages: []string{pinned},
	})
	if err != nil {
		return down, err
	}
	undo = append(undo, e.daemon.Stop)
	if err := e.daemon.Start(ctx); err != nil {
		return down, err
	}
	if e.client, err = e.daemon.Dial(); err != nil {
		return down, err
	}
	undo = append(undo, e.client.Close, e.removePods)
	return down, nil
}

// cdiDir is where the daemon looks for specs of CDI devices.
func (e *environment) cdiDir() string { return filepath.Join(e.root, "cdi") }

func (e *environment) removePods() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return e.client.RemoveAll(ctx)
}

// push makes the images and pushes them.
func push(ctx context.Context, reg *registry.Registry) error {
	root, err := checkout.Root()
	if err != nil {
		return err
	}
	for _, img := range []struct {
		name string
		make func() (registry.Taggable, error)
	}{
		{"busybox:1", func() (registry.Taggable, error) { return images.Busybox() }},
		{"configured:1", func() (registry.Taggable, error) { return images.Configured() }},
		{"files:1", func() (registry.Taggable, error) { return images.Files() }},
		{"layered:1", func() (registry.Taggable, error) { return images.Layered() }},
		{"pinned:1", func() (registry.Taggable, error) {
			return images.Image("amd64", v1.Config{}, images.Tree{"pinned": images.File(0o644, "pinned")})
		}},
		{"web:1", func() (registry.Taggable, error) { return images.WebServer(filepath.Join(root, "e2e")) }},
		{"winprobe:1", func() (registry.Taggable, error) {
			return images.WindowsProgram(filepath.Join(root, "e2e"), "./cmd/winprobe", "winprobe", "serve")
		}},
		{"nats:1", func() (registry.Taggable, error) { return images.NATS(filepath.Join(root, "e2e")) }},
		{"everywhere:1", func() (registry.Taggable, error) { return images.WebServerEverywhere(filepath.Join(root, "e2e")) }},
	} {
		what, err := img.make()
		if err != nil {
			return fmt.Errorf("make image %s: %w", img.name, err)
		}
		if _, err := reg.Push(ctx, img.name, what); err != nil {
			return err
		}
	}
	return nil
}

// record remembers an id that nothing may carry in the end. VMs go by a part of their sandbox's.
func (e *environment) record(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ids = append(e.ids, id[:min(32, len(id))])
}

func (e *environment) allIDs() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string(nil), e.ids...)
}
