package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/paddock-run/paddock/e2e/bench"
	"github.com/paddock-run/paddock/e2e/criclient"
	"github.com/paddock-run/paddock/e2e/daemon"
)

// misses measures pods that find no sandbox ready: with a VM cloned for them, and
// with one that boots.
func (b *setup) misses(ctx context.Context, image string) error {
	if *misses == 0 {
		return nil
	}
	for _, kind := range []struct {
		name, row string
		options   daemon.Options
	}{
		{"c", bench.CloneRow, daemon.Options{NoPool: true}},
		{"b", bench.ColdRow, daemon.Options{NoPool: true, NoTemplates: true}},
	} {
		if err := b.missesOf(ctx, kind.name, kind.row, image, kind.options); err != nil {
			return err
		}
	}
	return nil
}

func (b *setup) missesOf(ctx context.Context, name, row, image string, o daemon.Options) error {
	_, o, err := b.daemon(ctx, name, o)
	if err != nil {
		return err
	}
	client, err := criclient.Dial(o.Socket)
	if err != nil {
		return err
	}
	defer client.Close()
	if _, err := client.Pull(ctx, image); err != nil {
		return err
	}
	s := &bench.Subject{Name: row, Client: client, Handler: "lcow", LogDir: filepath.Join(b.dir, "logs-0")}
	if err := s.Pod(ctx, image); err != nil { // has the template made, if there is one
		return err
	}
	s.Samples = nil
	for i := range *misses {
		fmt.Printf("pod %d of %d: %s\n", i+1, *misses, row)
		if err := bench.Settle(ctx); err != nil {
			return err
		}
		if err := s.Pod(ctx, image); err != nil {
			return err
		}
		if row == bench.CloneRow {
			for _, step := range s.Steps {
				if step.Name == "vm" {
					b.subjects[0].Add(bench.CloneReadyRow, float64(step.Duration.Microseconds())/1000)
				}
			}
			s.Steps = nil
		}
	}
	for _, took := range s.Samples["CreatePod"] {
		b.subjects[0].Add(row, took)
	}
	return nil
}
