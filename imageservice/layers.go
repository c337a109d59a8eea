package imageservice

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/identity"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// pin keeps layers from the garbage collector until the returned function is called.
func (s *Store) pin(diffIDs []digest.Digest) (unpin func()) {
	ids := keys(diffIDs)
	s.layersMu.Lock()
	defer s.layersMu.Unlock()
	for _, id := range ids {
		s.pins[id]++
	}
	return func() {
		s.layersMu.Lock()
		defer s.layersMu.Unlock()
		for _, id := range ids {
			if s.pins[id]--; s.pins[id] == 0 {
				delete(s.pins, id)
			}
		}
	}
}

func (s *Store) layerPath(u Unpacker, id digest.Digest) string {
	return filepath.Join(s.cfg.layersDir(), id.Encoded()+u.Extension()+diskSuffix)
}

// ensureLayer unpacks a layer unless its disk exists. Its disk must be pinned
// and its blob be in the content store.
func (s *Store) ensureLayer(ctx context.Context, u Unpacker, blob ocispec.Descriptor, id digest.Digest) error {
	path := s.layerPath(u, id)
	unlock, err := s.unpacks.lock(ctx, path)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if err := s.unpackSlots.Acquire(ctx, 1); err != nil {
		return err
	}
	defer s.unpackSlots.Release(1)
	if err := s.unpackLayer(ctx, u, blob, id, path); err != nil {
		return fmt.Errorf("unpacking layer %s: %w", blob.Digest, classify(err))
	}
	return nil
}

func (s *Store) unpackLayer(ctx context.Context, u Unpacker, blob ocispec.Descriptor, id digest.Digest, path string) (err error) {
	tmp, err := os.CreateTemp(s.cfg.tempDir(), "layer-*")
	if err != nil {
		return err
	}
	defer func() {
		if tmp != nil {
			err = errors.Join(err, tmp.Close(), os.Remove(tmp.Name()))
		}
	}()
	if err := s.convert(ctx, u, blob, id, tmp); err != nil {
		return err
	}
	if err := errors.Join(sealDisk(tmp), tmp.Chmod(0o444), tmp.Sync()); err != nil {
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	tmp = nil
	return syncDir(filepath.Dir(path))
}

// convert unpacks a blob into dst and verifies what was read.
func (s *Store) convert(ctx context.Context, u Unpacker, desc ocispec.Descriptor, id digest.Digest, dst *os.File) error {
	blob, err := s.content.ReaderAt(ctx, desc)
	if err != nil {
		return fmt.Errorf("its blob cannot be opened, pull the image again: %w", err)
	}
	defer blob.Close()
	var stream *layerStream
	closeStream := func() {
		if stream != nil {
			stream.Close()
		}
	}
	defer func() { closeStream() }()
	open := func() (io.ReadCloser, error) {
		closeStream()
		stream, err = openLayerStream(ctx, blob, s.cfg.MaxLayerBytes)
		return stream, err
	}
	if err := u.Unpack(ctx, open, dst); err != nil {
		return err
	}
	return stream.verify(id)
}

// layersInUse is the set of disks that images and leases need.
func (s *Store) layersInUse(ctx context.Context) (map[digest.Digest]bool, error) {
	used := map[digest.Digest]bool{}
	for _, ns := range allNamespaces {
		ctx := ns.context(ctx)
		groups, err := s.groups(ctx)
		if err != nil {
			return nil, err
		}
		for _, g := range groups {
			if l, err := s.load(ctx, g.manifest); err == nil {
				addAll(used, l.diffIDs())
			}
		}
		ids, err := s.leasedDiffIDs(ctx)
		if err != nil {
			return nil, err
		}
		addAll(used, ids)
	}
	return used, nil
}

// sweepLayers deletes the disks that nothing needs.
func (s *Store) sweepLayers(ctx context.Context) error {
	s.layersMu.Lock()
	defer s.layersMu.Unlock()
	used, err := s.layersInUse(ctx)
	if err != nil {
		return err
	}
	for id := range s.pins {
		used[id] = true
	}
	entries, err := os.ReadDir(s.cfg.layersDir())
	if err != nil {
		return err
	}
	for _, e := range entries {
		hex, _, _ := strings.Cut(e.Name(), ".")
		if used[digest.NewDigestFromEncoded(digest.SHA256, hex)] {
			continue
		}
		err = errors.Join(err, s.removeLayer(ctx, e))
	}
	return err
}

// addAll adds the keys of a whole image's layers.
func addAll(set map[digest.Digest]bool, diffIDs []digest.Digest) {
	for _, id := range keys(diffIDs) {
		set[id] = true
	}
}

// keys are the names of a whole image's layers on disk: those of disks, which are the
// same whatever they lie on, and those of folders, which are not.
func keys(diffIDs []digest.Digest) []digest.Digest {
	return append(slices.Clone(diffIDs), identity.ChainIDs(slices.Clone(diffIDs))...)
}
