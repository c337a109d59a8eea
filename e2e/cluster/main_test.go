package cluster

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/paddock-run/paddock/e2e/checkout"
	"github.com/paddock-run/paddock/e2e/images"
	"github.com/paddock-run/paddock/e2e/leakcheck"
	"github.com/paddock-run/paddock/e2e/registry"
)

// Images that the registry holds.
const (
	busybox = ImageHost + "/busybox:1"
	web     = ImageHost + "/web:1"
	healthy = ImageHost + "/health:1"
	// For Windows.
	winprobe = ImageHost + "/winprobe:1"
)

// shared is the cluster that all tests use.
var shared *Cluster

func TestMain(m *testing.M) {
	// Most of a test is waiting for kubelet: more of them at once than there are processors.
	if err := flag.Set("test.parallel", "3"); err != nil {
		panic(err)
	}
	flag.Parse()
	if os.Geteuid() != 0 {
		fmt.Println("SKIP: the cluster needs root, for namespaces, mounts and cgroups")
		os.Exit(0)
	}
	if _, err := Isolate(); err != nil {
		fmt.Fprintln(os.Stderr, "FAIL:", err)
		os.Exit(1)
	}
	code, err := runTests(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "FAIL:", err)
		code = 1
	}
	os.Exit(code)
}

// runTests brings the cluster up, runs the tests, takes it down, and looks at what is left.
func runTests(m *testing.M) (code int, err error) {
	opts := Options{LogLevel: 4}
	if opts.Root, err = os.MkdirTemp("/var/tmp", "pdkc"); err != nil {
		return 1, err
	}
	if opts.State, err = os.MkdirTemp("/run", "pdkc"); err != nil {
		return 1, err
	}
	defer func() {
		if code == 0 && err == nil {
			err = errors.Join(os.RemoveAll(opts.Root), os.RemoveAll(opts.State))
		} else {
			fmt.Fprintf(os.Stderr, "kept for a look: %s (*.log, d/daemon.log, pods) and %s\n", opts.Root, opts.State)
		}
	}()
	if shared, err = New(opts); err != nil {
		return 1, err
	}
	scope := leakcheck.Scope{Dirs: []string{opts.Root, opts.State}, Network: shared.Network, Cgroup: shared.cgroup}
	before, err := leakcheck.Take(scope)
	if err != nil {
		return 1, err
	}
	began := time.Now()
	err = start(shared)
	if err == nil {
		fmt.Printf("the node was ready after %v\n", time.Since(began).Round(100*time.Millisecond))
		code = m.Run()
	}
	began = time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	if err := errors.Join(err, shared.Stop(ctx)); err != nil {
		return 1, err
	}
	fmt.Printf("taken down in %v\n", time.Since(began).Round(100*time.Millisecond))
	return code, leakcheck.Check(ctx, scope, before)
}

// start starts the cluster, whose images are made meanwhile, and deploys Paddock's own parts to it.
func start(c *Cluster) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	made := make(chan error, 1)
	go func() { made <- pushImages(ctx, c.Registry) }()
	err := c.Start(ctx)
	if err != nil && c.Daemon != nil {
		err = fmt.Errorf("%w\ndaemon: %s", err, c.Daemon.LogTail(20))
	}
	if err := errors.Join(err, <-made); err != nil {
		return err
	}
	return deploy(ctx, c)
}

// pushImages fills the registry.
func pushImages(ctx context.Context, r *registry.Registry) error {
	root, err := checkout.Root()
	if err != nil {
		return err
	}
	module := filepath.Join(root, "e2e")
	build := filepath.Join(root, "build")
	for name, make := range map[string]func() (registry.Taggable, error){
		"both:1":    func() (registry.Taggable, error) { return images.OnBothSystems(module, "./cmd/webserver") },
		"paddock:1": func() (registry.Taggable, error) { return images.Node(build) },
		"metrics-server:1": func() (registry.Taggable, error) {
			return images.Static(filepath.Join(build, "metrics-server", "metrics-server"))
		},
		"webhook:1": func() (registry.Taggable, error) { return images.Webhook(build) },
		"busybox:1": func() (registry.Taggable, error) { return images.Busybox() },
		"web:1":     func() (registry.Taggable, error) { return images.WebServer(module) },
		"winprobe:1": func() (registry.Taggable, error) {
			return images.WindowsProgram(module, "./cmd/winprobe", "winprobe", "serve")
		},
		"health:1": func() (registry.Taggable, error) { return images.OnBusybox(module, "./cmd/healthserver") },
	} {
		what, err := make()
		if err != nil {
			return fmt.Errorf("make image %s: %w", name, err)
		}
		if _, err := r.Push(ctx, name, what); err != nil {
			return err
		}
	}
	return nil
}
