// Command bench measures Paddock beside containerd + runc on this machine, in
// alternating runs, and writes build/bench/results.json and docs/benchmarks.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/paddock-run/paddock/e2e/bench"
	"github.com/paddock-run/paddock/e2e/checkout"
	"github.com/paddock-run/paddock/e2e/cninet"
	"github.com/paddock-run/paddock/e2e/command"
	"github.com/paddock-run/paddock/e2e/conformance"
	"github.com/paddock-run/paddock/e2e/criclient"
	"github.com/paddock-run/paddock/e2e/daemon"
	"github.com/paddock-run/paddock/e2e/images"
	"github.com/paddock-run/paddock/e2e/peer"
	"github.com/paddock-run/paddock/e2e/registry"
)

var (
	pods   = flag.Int("pods", 10, "pods to run on each runtime")
	pulls  = flag.Int("pulls", 3, "pulls of the large image on each runtime")
	layers = flag.Int("layers", 10, "layers of the large image")
	layer  = flag.Int("layer-mb", 30, "MB of each of its layers")

	misses = flag.Int("misses", 5, "pods to run on a Paddock that makes nothing ahead, with and without templates")
	burst  = flag.Int("burst", 50, "pods to run at once on each runtime")

	crowd  = flag.Int("crowd", 1000, "containers of each runtime among which calls are measured")
	limits = flag.Bool("limits", true, "measure what is left in a pod of the VM's disk and network")

	suites     = flag.Int("critest", 1, "runs of Kubernetes' validation suite (critest -parallel=2) on each runtime")
	benchmarks = flag.Int("critest-benchmark", 2, "rounds of critest -benchmark on each runtime, each of "+strconv.Itoa(samples)+" pods and as many containers")
)

var focus = flag.String("critest-focus", "", "run only specs of the suite that match this regular expression: for trying it out")

// samples is how many pods, and how many containers, a round of critest -benchmark measures.
const samples = 5

func main() { command.Main("bench", run, os.Interrupt) }

func run(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "paddock-bench-")
	if err != nil {
		return err
	}
	// A user namespace's root passes through here to a container's files.
	if err := os.Chmod(dir, 0o711); err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	b := &setup{dir: dir}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.start(ctx); err != nil {
		return err
	}
	small, large, err := b.push(ctx)
	if err != nil {
		return err
	}
	for i := range *pulls {
		for _, s := range b.subjects {
			fmt.Printf("pull %d of %d: %s\n", i+1, *pulls, s.Name)
			if err := s.Pull(ctx, large, *layers**layer<<20); err != nil {
				return err
			}
		}
	}
	for _, s := range b.subjects {
		if _, err := s.Client.Pull(ctx, small); err != nil {
			return err
		}
	}
	for i := range *pods {
		for _, s := range b.subjects {
			fmt.Printf("pod %d of %d: %s\n", i+1, *pods, s.Name)
			if err := bench.Settle(ctx); err != nil {
				return err
			}
			if err := s.Pod(ctx, small); err != nil {
				return err
			}
		}
	}
	if err := b.misses(ctx, small); err != nil {
		return err
	}
	if *burst > 0 {
		for _, s := range b.subjects {
			fmt.Printf("%d pods at once: %s\n", *burst, s.Name)
			if err := errors.Join(bench.Settle(ctx), s.Burst(ctx, *burst)); err != nil {
				return err
			}
		}
	}
	for _, s := range b.subjects {
		if *crowd > 0 {
			fmt.Printf("%d containers: %s\n", *crowd, s.Name)
			if err := errors.Join(bench.Settle(ctx), s.Crowd(ctx, small, *crowd)); err != nil {
				return err
			}
		}
	}
	if *limits {
		if err := b.limits(ctx); err != nil {
			return err
		}
	}
	// What critest says comes last: the rest is worth reporting without it.
	return errors.Join(b.critest(ctx), b.report(ctx))
}

// setup is both runtimes, their networks and the registry.
type setup struct {
	dir      string
	reg      *registry.Registry
	subjects []*bench.Subject // Paddock, then the peer
	suites   []conformance.Suite
	certs    string
	network  *cninet.Network // Paddock's
	state    string          // its state directory
	closers  []func() error
}

func (b *setup) onClose(f func() error) { b.closers = append(b.closers, f) }

func (b *setup) close() error {
	var errs []error
	for i := len(b.closers) - 1; i >= 0; i-- {
		errs = append(errs, b.closers[i]())
	}
	return errors.Join(append(errs, os.RemoveAll(b.dir))...)
}

func (b *setup) start(ctx context.Context) (err error) {
	if b.reg, err = registry.Start(filepath.Join(b.dir, "registry")); err != nil {
		return err
	}
	b.onClose(b.reg.Close)
	certs := filepath.Join(b.dir, "certs")
	if err := b.reg.WriteMirror(certs, b.reg.Host); err != nil {
		return err
	}
	if err := conformance.WriteMirrors(b.reg, certs); err != nil {
		return err
	}
	if err := b.startPaddock(ctx, certs); err != nil {
		return err
	}
	return b.startPeer(ctx, certs)
}

func (b *setup) startPaddock(ctx context.Context, certs string) (err error) {
	if b.network, err = cninet.New(filepath.Join(b.dir, "paddock-net"), "pdkb"); err != nil {
		return err
	}
	b.onClose(b.network.Remove)
	b.certs = certs
	d, o, err := b.daemon(ctx, "p", daemon.Options{})
	if err != nil {
		return err
	}
	b.state = o.State
	return b.subject("Paddock", o.Socket, "lcow", d.PID())
}

// daemon starts one with a root and state of its own.
func (b *setup) daemon(ctx context.Context, name string, o daemon.Options) (*daemon.Daemon, daemon.Options, error) {
	o.State = fmt.Sprintf("/run/pdkbench-%d%s", os.Getpid(), name)
	b.onClose(func() error { return os.RemoveAll(o.State) })
	o.Root, o.Socket = filepath.Join(b.dir, "paddock-"+name), filepath.Join(o.State, "p.sock")
	o.CertsDir, o.Network = b.certs, b.network
	o.LogLevel = 2
	d, err := daemon.New(o)
	if err != nil {
		return nil, o, err
	}
	if err := d.Start(ctx); err != nil {
		return nil, o, err
	}
	b.onClose(d.Stop)
	return d, o, nil
}

func (b *setup) startPeer(ctx context.Context, certs string) error {
	net, err := cninet.New(filepath.Join(b.dir, "peer-net"), "pdkc")
	if err != nil {
		return err
	}
	b.onClose(net.Remove)
	program, err := checkout.Built("bin/pause", "peers")
	if err != nil {
		return err
	}
	pause, err := images.Pause(program)
	if err != nil {
		return err
	}
	ref, err := b.reg.Push(ctx, "pause:1", pause)
	if err != nil {
		return err
	}
	p, err := peer.Start(ctx, peer.Options{Root: filepath.Join(b.dir, "peer"), CertsDir: certs, PauseImage: ref, Network: net})
	if err != nil {
		return err
	}
	b.onClose(p.Stop)
	return b.subject(peer.Name, p.Socket, "", p.PID())
}

func (b *setup) subject(name, socket, handler string, pid int) error {
	client, err := criclient.Dial(socket)
	if err != nil {
		return err
	}
	b.onClose(client.Close)
	b.onClose(func() error { return client.RemoveAll(context.Background()) })
	logs := filepath.Join(b.dir, fmt.Sprintf("logs-%d", len(b.subjects)))
	b.subjects = append(b.subjects, &bench.Subject{Name: name, Client: client, Handler: handler, LogDir: logs, Daemon: pid})
	b.suites = append(b.suites, conformance.Suite{Socket: socket, Handler: handler})
	return os.MkdirAll(logs, 0o755)
}

func (b *setup) push(ctx context.Context) (small, large string, err error) {
	busybox, err := images.Busybox()
	if err != nil {
		return "", "", err
	}
	big, err := images.Large(*layers, *layer)
	if err != nil {
		return "", "", err
	}
	small, err = b.reg.Push(ctx, "busybox:1", busybox)
	if err != nil {
		return "", "", err
	}
	large, err = b.reg.Push(ctx, "large:1", big)
	return small, large, err
}

func (b *setup) report(ctx context.Context) error {
	results := bench.Compare(b.subjects[0], b.subjects[1])
	root, err := checkout.Root()
	if err != nil {
		return err
	}
	machine, err := b.machine(ctx)
	if err != nil {
		return err
	}
	var doc strings.Builder
	fmt.Fprintf(&doc, "# Benchmarks\n\nMade by `make bench`; pods and pulls of the two runtimes alternate.\n\nMachine: %s. Peer: %s. Both rest before each pod, so that Paddock has a sandbox ready (`vm.pool` as by default) where a row does not say otherwise.\n\n", machine, peer.Name)
	doc.WriteString("Ratio is Paddock's figure over the peer's, inverted for rates: below 1, Paddock is ahead.\n\n")
	doc.WriteString(bench.Table(results))
	doc.WriteString(stepsTable(b.subjects[0].Steps))
	fmt.Print("\n", doc.String())
	if err := bench.WriteJSON(filepath.Join(root, "build", "bench", "results.json"), results); err != nil {
		return err
	}
	if *pods*(*pulls)*(*misses)*(*burst)*(*crowd)*(*suites)*(*benchmarks) == 0 || !*limits || *focus != "" {
		fmt.Println("docs/benchmarks.md stays as it was: the flags leave rows out")
		return nil
	}
	return os.WriteFile(filepath.Join(root, "docs", "benchmarks.md"), []byte(doc.String()), 0o644)
}

// stepsTable is a pod's start for people; "" when none was measured.
func stepsTable(steps []bench.Step) string {
	if len(steps) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("\n## Where a pod's start goes\n\nOne start of a pod, as the daemon tells it; some steps run side by side.\n\n| step | begins after ms | takes ms |\n|---|---:|---:|\n")
	for _, s := range steps {
		fmt.Fprintf(&b, "| %s | %.0f | %.0f |\n", s.Name, msSince(steps, s), float64(s.Duration.Microseconds())/1000)
	}
	return b.String()
}

func msSince(steps []bench.Step, s bench.Step) float64 {
	first := s.Start
	for _, o := range steps {
		if o.Start.Before(first) {
			first = o.Start
		}
	}
	return float64(s.Start.Sub(first)) / float64(time.Millisecond)
}

// machine names this machine by what matters, and by nothing else.
func (b *setup) machine(ctx context.Context) (string, error) {
	accel, err := b.subjects[0].Client.Accelerator(ctx)
	if err != nil {
		return "", err
	}
	mem, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return "", err
	}
	var kib int
	if _, err := fmt.Sscanf(string(mem), "MemTotal: %d kB", &kib); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d cores, %d GiB of memory, accelerator %s", runtime.NumCPU(), kib>>20, accel), nil
}
