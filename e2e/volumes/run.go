package volumes

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/paddock-run/paddock/e2e/criclient"
	"github.com/paddock-run/paddock/e2e/environment"
)

// Options of a run.
type Options struct {
	// Cache keeps packages and layers, Out gets logs.
	Cache, Out string
	// Only runs the servers whose name contains one of these words, with commas between them.
	Only string
	// Timeout is for each pod's servers, from their start to their end.
	Timeout time.Duration
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
	r := runner{client: env.Client, root: env.Root, out: o.Out, timeout: o.Timeout, start: time.Now()}
	return r.run(ctx, chosen), nil
}

// podsAtOnce are as many as have a processor of the machine that CI uses.
const podsAtOnce = 2

type runner struct {
	client    *criclient.Client
	root, out string
	timeout   time.Duration
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
