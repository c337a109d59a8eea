package volumes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/paddock-run/paddock/e2e/criclient"
	"github.com/paddock-run/paddock/e2e/debian"
	"github.com/paddock-run/paddock/e2e/environment"
	"github.com/paddock-run/paddock/e2e/pod"
)

// host is what the images' names begin with.
const host = "volumes.paddock.test"

// container says what a server runs in.
type container struct {
	image   debian.Image
	command []string
	env     map[string]string
	user    int64
	data    string // where the folder of the host is mounted
	memory  int64  // MiB
}

// on is the container with its data on a folder of the host's.
func (c container) on(dir string) pod.Container {
	return pod.Container{
		Image: environment.Reference(host, c.image.Name), Command: c.command, Env: c.env, User: c.user, Memory: c.memory,
		Mounts: map[string]string{c.data: dir},
	}
}

// running is a server's container.
type running struct {
	*pod.Running
	pod *pod.Pod
	dir string // its data, on the host
}

// server is one that keeps its data on a folder of the host's.
type server interface {
	name() string
	container() container
	// use waits until the server answers, and has it make what load needs.
	use(ctx context.Context, r *running) error
	// load has the server store things until it is gone, and notes what it
	// acknowledged. It calls enough, maybe often, when the server may be killed;
	// ctx ends when that has been done. An error says that it failed before.
	load(ctx context.Context, r *running, enough func()) error
	// check waits for the server after the kill, and says whether all that it had
	// acknowledged is there and it can be used on.
	check(ctx context.Context, r *running) (string, error)
}

// groups are the servers that share a pod, the longest first.
func groups() [][]server {
	return [][]server{
		{&mariadb{}, &wordpress{}},
		{&rabbitmq{}},
		{&postgres{}},
		{&jenkins{}},
	}
}

// Result is what came of one server.
type Result struct {
	Server string
	// Passed says what was found, Err what failed.
	Passed string
	Err    error
	Took   time.Duration
}

func (r Result) String() string {
	if r.Err != nil {
		return fmt.Sprintf("%s: failed after %.0f s: %v", r.Server, r.Took.Seconds(), r.Err)
	}
	return fmt.Sprintf("%s: passed in %.0f s: %s", r.Server, r.Took.Seconds(), r.Passed)
}

// Options of a run.
type Options struct {
	// Cache keeps packages and layers, Out gets logs.
	Cache, Out string
	// Only runs the servers whose name contains one of these words, with commas between them.
	Only string
}

func (o Options) wants(s server) bool {
	return slices.ContainsFunc(strings.Split(o.Only, ","), func(word string) bool {
		return strings.Contains(strings.ToLower(s.name()), strings.ToLower(word))
	})
}

// chosen are the groups with a server to be run.
func (o Options) chosen() (chosen [][]server) {
	for _, g := range groups() {
		if slices.ContainsFunc(g, o.wants) {
			chosen = append(chosen, g)
		}
	}
	return chosen
}

// Prepare makes the images of the servers to be run, which needs the network where their layers are not cached.
func Prepare(ctx context.Context, o Options) (environment.Images, error) {
	all := environment.Images{}
	for _, g := range o.chosen() {
		for _, s := range g {
			img := s.container().image
			built, err := img.Build(ctx, o.Cache)
			if err != nil {
				return nil, err
			}
			all[img.Name] = built
		}
	}
	return all, nil
}

// Run runs servers, two pods at a time.
func Run(ctx context.Context, o Options) (results []Result, err error) {
	chosen := o.chosen()
	if len(chosen) == 0 {
		return nil, fmt.Errorf("no server's name contains %q", o.Only)
	}
	all, err := Prepare(ctx, o)
	if err != nil {
		return nil, err
	}
	env, err := environment.Start(ctx, environment.Options{Name: "pdkvol", Bridge: "pdkv", Push: all.At(host), NoPool: true})
	defer func() { err = errors.Join(err, env.Close(filepath.Join(o.Out, "paddock.log"))) }()
	if err != nil {
		return nil, err
	}
	r := runner{client: env.Client, root: env.Root, out: o.Out, start: time.Now()}
	return r.run(ctx, chosen), nil
}

// podsAtOnce are as many as have a processor of the machine that CI uses.
const podsAtOnce = 2

type runner struct {
	client    *criclient.Client
	root, out string
	start     time.Time
}

func (r *runner) run(ctx context.Context, groups [][]server) []Result {
	results := make([][]Result, len(groups))
	slots := make(chan struct{}, podsAtOnce)
	var wait sync.WaitGroup
	for i, g := range groups {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			results[i] = r.group(ctx, g)
		})
	}
	wait.Wait()
	var all []Result
	for _, rs := range results {
		all = append(all, rs...)
	}
	return all
}

// group runs servers that share a pod. What fails in one fails those after it,
// for want of a pod to go on in.
func (r *runner) group(ctx context.Context, servers []server) []Result {
	g := &group{runner: r, servers: servers, start: time.Now(), results: make([]Result, len(servers))}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute)
	defer cancel()
	err := g.live(ctx)
	for i := range g.results {
		res := &g.results[i]
		res.Server = servers[i].name()
		if res.Passed == "" && res.Err == nil {
			res.Err = err
		}
		if res.Took == 0 {
			res.Took = time.Since(g.start)
		}
	}
	return g.results
}

type group struct {
	*runner
	servers []server
	start   time.Time
	results []Result
}

// label is a name for folders and pods.
func label(s server) string {
	name, _, _ := strings.Cut(strings.ToLower(s.name()), " ")
	return strings.ReplaceAll(name, "'s", "")
}

func (g *group) say(what string) {
	fmt.Printf("%4.0f s  %-12s %s\n", time.Since(g.runner.start).Seconds(), label(g.servers[0]), what)
}

// live goes the whole way of the servers' lives.
func (g *group) live(ctx context.Context) error {
	g.say("starting")
	if err := g.inPod(ctx, "first", func(p *pod.Pod) error {
		running, err := g.startAll(ctx, p, "first", func(s server, r *running) error { return s.use(ctx, r) })
		if err != nil {
			return err
		}
		g.say("under load")
		return g.loadAndKill(ctx, p, running)
	}); err != nil {
		return err
	}
	g.say("killed, starting again")
	return g.inPod(ctx, "second", func(p *pod.Pod) error {
		i := 0
		_, err := g.startAll(ctx, p, "second", func(s server, r *running) (err error) {
			g.results[i].Passed, err = s.check(ctx, r)
			if g.results[i].Took = time.Since(g.start); err != nil {
				g.results[i].Passed = ""
			}
			i++
			return err
		})
		g.say("checked")
		return err
	})
}

// inPod runs f in a new pod, which is removed afterwards.
func (g *group) inPod(ctx context.Context, name string, f func(*pod.Pod) error) error {
	logs := filepath.Join(g.out, label(g.servers[0])+"-"+name)
	if err := os.RemoveAll(logs); err != nil {
		return err
	}
	p, err := pod.Run(ctx, g.client, label(g.servers[0])+"-"+name, logs)
	if err != nil {
		return err
	}
	err = f(p)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	return errors.Join(err, p.Remove(ctx))
}

// startAll starts the servers one after the other, each after the one before has been gone on with.
func (g *group) startAll(ctx context.Context, p *pod.Pod, which string, then func(server, *running) error) ([]*running, error) {
	var all []*running
	for _, s := range g.servers {
		dir := filepath.Join(g.root, "data", label(s))
		c := s.container()
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return nil, err
		}
		// As kubelet's fsGroup, or who made the folder, would have it.
		if err := os.Chown(dir, int(c.user), int(c.user)); err != nil {
			return nil, err
		}
		started, err := p.Start(ctx, label(s), c.on(dir))
		if err != nil {
			return nil, fmt.Errorf("%s, %s pod: %w", s.name(), which, err)
		}
		r := &running{Running: started, pod: p, dir: dir}
		if err := then(s, r); err != nil {
			return nil, fmt.Errorf("%s, %s pod: %w; its last lines:\n%s", s.name(), which, err, r.LogTail(15))
		}
		all = append(all, r)
	}
	return all, nil
}

// loadAndKill has all servers work until each has done enough, and then kills the VM.
func (g *group) loadAndKill(ctx context.Context, p *pod.Pod, all []*running) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var loads, enough sync.WaitGroup
	errs := make([]error, len(all))
	for i, r := range all {
		enough.Add(1)
		done := sync.OnceFunc(enough.Done)
		loads.Go(func() {
			defer done() // a load that failed keeps nobody waiting
			if err := g.servers[i].load(ctx, r, done); err != nil {
				errs[i] = fmt.Errorf("%s, under load: %w; its last lines:\n%s", g.servers[i].name(), err, r.LogTail(15))
			}
		})
	}
	enough.Wait()
	killed := p.Kill()
	// The answers under way when the VM ended are still to be noted.
	time.Sleep(200 * time.Millisecond)
	cancel()
	loads.Wait()
	return errors.Join(append(errs, killed)...)
}
