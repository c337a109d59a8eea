package podsandbox

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/paddock-run/paddock/fileshare"
	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/guest/channel"
	"github.com/paddock-run/paddock/imageservice"
	"github.com/paddock-run/paddock/network"
	"github.com/paddock-run/paddock/network/networktest"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

// fakeImages has two images of two layers; the lower one is the same.
type fakeImages struct {
	imageservice.Service // what is not used here
	dir                  string
	fail                 func(step string) error

	// folders: layers are folders, as they are for Windows guests.
	folders bool
	// build is the version of Windows that images say they are for, but "models".
	build string

	mu     sync.Mutex
	leases map[string]bool
}

func (f *fakeImages) Get(_ context.Context, ref string, os guest.OS) (imageservice.Image, error) {
	if ref == "models" || ref == "sha256:3" {
		return imageservice.Image{ID: "sha256:3", OS: os, RepoDigests: []string{"models@sha256:4"}}, nil
	}
	if ref != "busybox" {
		return imageservice.Image{}, fmt.Errorf("%s: %w", ref, imageservice.ErrNotFound)
	}
	return imageservice.Image{ID: "sha256:1", OS: os, Platform: imagespec.Platform{OSVersion: f.build}, RepoDigests: []string{"busybox@sha256:2"}, Config: imagespec.ImageConfig{
		Cmd: []string{"sh"}, Volumes: map[string]struct{}{"/data": {}}, StopSignal: "SIGINT",
	}}, nil
}

func (f *fakeImages) Layers(_ context.Context, id, owner string) ([]imageservice.Layer, error) {
	step, top := "Layers", "top.ext4"
	if id == "sha256:3" {
		step, top = "Layers models", "models.ext4"
	}
	if err := f.fail(step); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.leases[owner] = true
	var layers []imageservice.Layer
	for _, name := range []string{"base.ext4", top} {
		path := filepath.Join(f.dir, name)
		if f.folders {
			path = strings.TrimSuffix(path, ".ext4")
			if err := errors.Join(os.MkdirAll(path, 0o700), os.WriteFile(filepath.Join(path, imageservice.ContainerTemplate), []byte("blank"), 0o600)); err != nil {
				return nil, err
			}
			layers = append(layers, imageservice.Layer{ID: digest.FromString(name), Path: path})
			continue
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			return nil, err
		}
		layers = append(layers, imageservice.Layer{ID: digest.FromString(name), Path: path, FSType: "ext4"})
	}
	return layers, nil
}

func (f *fakeImages) ReleaseLayers(_ context.Context, owner string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.leases, owner)
	return nil
}

func (f *fakeImages) LeaseOwners(context.Context) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Collect(maps.Keys(f.leases)), nil
}

// fakeShares are share servers that only count.
type fakeShares struct {
	fail func(step string) error

	mu      sync.Mutex
	servers map[string]*fakeServer
}

type fakeServer struct {
	of *fakeShares

	mu      sync.Mutex
	shares  map[string]fileshare.Share
	exports map[string]fileshare.Export
}

func (f *fakeShares) Start(_ context.Context, id string, _ channel.Address) (fileshare.Server, error) {
	if err := f.fail("Shares.Start"); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.servers[id] == nil {
		f.servers[id] = &fakeServer{of: f, shares: map[string]fileshare.Share{}, exports: map[string]fileshare.Export{}}
	}
	return f.servers[id], nil
}

func (f *fakeShares) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.servers)
}

func (f *fakeShares) Open(_ context.Context, id string) (fileshare.Server, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s := f.servers[id]; s != nil {
		return s, nil
	}
	return nil, vm.ErrNotFound
}

func (f *fakeShares) List(context.Context) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Collect(maps.Keys(f.servers)), nil
}

func (f *fakeShares) Stop(_ context.Context, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.servers, id)
	return nil
}

func (s *fakeServer) Add(_ context.Context, share fileshare.Share) (fileshare.Info, error) {
	if err := s.of.fail("Shares.Add"); err != nil {
		return fileshare.Info{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shares[share.ID] = share
	return fileshare.Info{}, nil
}

func (s *fakeServer) Remove(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.shares, id)
	return nil
}

func (s *fakeServer) Export(_ context.Context, e fileshare.Export) error {
	if err := s.of.fail("Shares.Export"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, shown := s.exports[e.ID]; shown {
		return fmt.Errorf("%s is shown already", e.ID)
	}
	s.exports[e.ID] = e
	return nil
}

func (s *fakeServer) Unexport(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.exports, id)
	return nil
}

func (s *fakeServer) Exports(context.Context) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.exports)), nil
}

// exported lists the places of the guest's mounts that the node shows.
func (s *fakeServer) exported() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var places []string
	for _, e := range s.exports {
		places = append(places, filepath.Join(e.HostPath, e.Path))
	}
	slices.Sort(places)
	return places
}

func (s *fakeServer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.shares)
}

func (s *fakeServer) Exited() <-chan struct{} { return nil }

func (s *fakeServer) Restarted() <-chan struct{} { return nil }
func (s *fakeServer) Close() error               { return nil }

// fakeScratch makes empty files.
type fakeScratch struct{ fail func(step string) error }

func (f fakeScratch) FileName() string { return "scratch.raw" }
func (f fakeScratch) Make(_ context.Context, path string) error {
	if err := f.fail("Scratch"); err != nil {
		return err
	}
	return os.WriteFile(path, nil, 0o600)
}

// tapNetwork gives each interface an open file, as a network of taps does.
type tapNetwork struct {
	*networktest.Fake

	mu   sync.Mutex
	taps []*os.File
}

func (n *tapNetwork) tap() (vm.Endpoint, error) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.taps = append(n.taps, f)
	return vm.TapEndpoint{File: f}, nil
}

func (n *tapNetwork) Prepare(ctx context.Context, id string) (vm.Endpoint, error) {
	if _, err := n.Fake.Prepare(ctx, id); err != nil {
		return nil, err
	}
	return n.tap()
}

func (n *tapNetwork) Setup(ctx context.Context, req network.Request) (*network.Attachment, error) {
	a, err := n.Fake.Setup(ctx, req)
	if err != nil {
		return nil, err
	}
	own := &network.Attachment{Node: a.Node, NetNS: a.NetNS, Interfaces: slices.Clone(a.Interfaces)}
	for i := 1; i < len(own.Interfaces); i++ { // the first one is Prepare's
		if own.Interfaces[i].Endpoint, err = n.tap(); err != nil {
			return nil, err
		}
	}
	return own, nil
}

// open counts the taps that nobody closed.
func (n *tapNetwork) open() (count int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, f := range n.taps {
		if f.Close() == nil {
			count++
		}
	}
	return count
}
