package main

import (
	"context"
	"fmt"

	"github.com/paddock-run/paddock/guest/image"
)

// buildWine makes the disk for Windows pods, with the program at init.
func buildWine(ctx context.Context, o image.Options, init string) error {
	m, err := image.BuildWine(ctx, image.WineOptions{Out: o.Out, Cache: o.Cache, Init: init, Mirror: o.Mirror, Log: o.Log})
	if err != nil {
		return err
	}
	for _, p := range m.Packages {
		if p.Name == "wine64" {
			fmt.Printf("guest image: Wine %s\n", p.Version)
		}
	}
	fmt.Printf("%s %.1f MB\n", m.File.Name, float64(m.File.Bytes)/1e6)
	return nil
}
