package imageservice

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func isNoPlatform(err error) bool { return errors.Is(err, ErrNoPlatform) }

// loadedImage is a manifest with its config, parsed and checked.
type loadedImage struct {
	manifest digest.Digest
	size     int64 // manifest, config and compressed layers
	layers   []ocispec.Descriptor
	configID digest.Digest
	config   ocispec.Image
}

func (l *loadedImage) diffIDs() []digest.Digest { return l.config.RootFS.DiffIDs }

// load reads a manifest and its config from the content store. Blobs never
// change, so that what was read once is remembered.
func (s *Store) load(ctx context.Context, manifest digest.Digest) (*loadedImage, error) {
	s.loadedMu.Lock()
	img := s.loaded[manifest]
	s.loadedMu.Unlock()
	if img != nil {
		return img, nil
	}
	b, err := s.read(ctx, ocispec.Descriptor{Digest: manifest}, maxManifestBytes)
	if err != nil {
		return nil, err
	}
	m, err := parseManifest(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", manifest, err)
	}
	config, err := s.loadConfig(ctx, m)
	if err != nil {
		return nil, err
	}
	img = &loadedImage{manifest: manifest, size: int64(len(b)) + m.Config.Size, layers: m.Layers, configID: m.Config.Digest, config: config}
	for _, l := range m.Layers {
		img.size += l.Size
	}
	s.loadedMu.Lock()
	s.loaded[manifest] = img
	s.loadedMu.Unlock()
	return img, nil
}

func (s *Store) loadConfig(ctx context.Context, m ocispec.Manifest) (ocispec.Image, error) {
	b, err := s.read(ctx, m.Config, maxConfigBytes)
	if err != nil {
		return ocispec.Image{}, err
	}
	config, err := parseConfig(b, m)
	if err != nil {
		return config, fmt.Errorf("%s: %w", m.Config.Digest, err)
	}
	return config, nil
}

// forget drops remembered images that are not in use.
func (s *Store) forget(inUse map[digest.Digest]bool) {
	s.loadedMu.Lock()
	defer s.loadedMu.Unlock()
	for d := range s.loaded {
		if !inUse[d] {
			delete(s.loaded, d)
		}
	}
}

// image puts together what the service tells of an image.
func (s *Store) image(ns namespace, l *loadedImage, names []string) Image {
	img := Image{
		ID:       l.configID.String(),
		Platform: l.config.Platform,
		OS:       ns.os,
		Manifest: l.manifest,
		Size:     l.size,
		Config:   l.config.Config,
	}
	img.RepoTags, img.RepoDigests = splitNames(names)
	if l.config.Created != nil && l.config.Created.After(time.Unix(0, 0)) {
		img.Created = *l.config.Created
	}
	for _, name := range names {
		img.Pinned = img.Pinned || s.pinned[name]
	}
	return img
}

// gone gives a missing name this package's error.
func gone(err error, name string, os fmt.Stringer) error {
	if errdefs.IsNotFound(err) {
		return fmt.Errorf("%w: no %s image %q here; pull it first", ErrNotFound, os, name)
	}
	return err
}

// configDiffIDs reads the layers that a config names.
func (s *Store) configDiffIDs(ctx context.Context, config digest.Digest) ([]digest.Digest, error) {
	b, err := s.read(ctx, ocispec.Descriptor{Digest: config}, maxConfigBytes)
	if err != nil {
		return nil, err
	}
	var img ocispec.Image
	if err := unmarshal(b, maxConfigBytes, &img); err != nil {
		return nil, corrupt("config %s: %w", config, err)
	}
	return img.RootFS.DiffIDs, nil
}
