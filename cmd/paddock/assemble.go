//go:build linux || windows

package main

import (
	"context"
	"path/filepath"

	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/config"
	"github.com/paddock-run/paddock/imageservice"
	"github.com/paddock-run/paddock/podsandbox"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

// serve runs the daemon until ctx ends. Its parts are the host's: lockState, assemble and listen.
func serve(ctx context.Context, cfg *config.Config) error {
	d := new(daemon)
	defer d.close(ctx)
	unlock, err := lockState(cfg)
	if err != nil {
		return err
	}
	d.onClose(unlock)
	server, err := d.assemble(ctx, cfg)
	if err != nil {
		return err
	}
	listener, err := listen(cfg)
	if err != nil {
		return err
	}
	klog.FromContext(ctx).Info("Serving CRI", "socket", cfg.Socket, "version", version)
	return server.Serve(ctx, listener)
}

// imageConfig is what of the image service's configuration is the same on all hosts.
func imageConfig(cfg *config.Config) imageservice.Config {
	return imageservice.Config{
		Root:                   filepath.Join(cfg.Root, "images"),
		CertsDir:               cfg.Registry.CertsDir,
		UserAgent:              "paddock/" + version,
		MaxConcurrentDownloads: cfg.Registry.MaxConcurrentDownloads,
		MaxLayerBytes:          cfg.Images.MaxLayerSize.Value(),
		PinnedImages:           cfg.Images.Pinned,
	}
}

// sandboxConfig is what of the sandboxes' configuration is the same on all hosts.
func sandboxConfig(cfg *config.Config) podsandbox.Config {
	return podsandbox.Config{
		Root:              cfg.Root,
		StateDir:          cfg.State,
		HostVersion:       version,
		DefaultMemory:     uint64(cfg.VM.Memory.Value()),
		PodOverheadMemory: uint64(cfg.VM.Overhead.Value()),
		ScratchSize:       uint64(cfg.VM.Scratch.Value()),
		Pool:              podsandbox.PoolConfig{Min: cfg.VM.Pool.Min, Max: cfg.VM.Pool.Max, MemoryBytes: uint64(cfg.VM.Pool.Memory.Value())},
	}
}

// backend is what Status tells of the host's utility VMs.
func backend(info vm.Info) map[string]string {
	return map[string]string{
		"hypervisor": info.Backend, "accelerator": info.Accelerator, "channel": info.Channel, "details": info.Details,
	}
}
