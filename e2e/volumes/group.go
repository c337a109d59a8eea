package volumes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/paddock-run/paddock/e2e/pod"
)

// group runs servers that share a pod. What fails in one fails those after it,
// for want of a pod to go on in.
func (r *runner) group(ctx context.Context, servers []server) []Result {
	g := &group{runner: r, servers: servers, start: time.Now(), results: make([]Result, len(servers))}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
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
