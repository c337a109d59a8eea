package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/paddock-run/paddock/e2e/bench"
	"github.com/paddock-run/paddock/e2e/checkout"
	"github.com/paddock-run/paddock/e2e/debian"
)

// toolsImage has the programs that measure disks and networks.
var toolsImage = debian.Image{
	Name:  "tools",
	Layer: &debian.Layer{Packages: []string{"fio", "iperf3"}, Below: []*debian.Layer{debian.Base}},
}

// limits measures what a pod has of its VM's disk and network.
func (b *setup) limits(ctx context.Context) error {
	root, err := checkout.Root()
	if err != nil {
		return err
	}
	image, err := toolsImage.Build(ctx, filepath.Join(root, ".cache", "volumes"))
	if err != nil {
		return err
	}
	ref, err := b.reg.Push(ctx, "tools:1", image)
	if err != nil {
		return err
	}
	dir := filepath.Join(b.dir, "limits")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	paddock := b.subjects[0]
	if err := bench.Settle(ctx); err != nil {
		return err
	}
	if err := paddock.Disks(ctx, ref, dir); err != nil {
		return fmt.Errorf("disks: %w", err)
	}
	if err := paddock.Wire(ctx, ref, b.state, b.network); err != nil {
		return fmt.Errorf("network: %w", err)
	}
	return nil
}
