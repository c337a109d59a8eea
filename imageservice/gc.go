package imageservice

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// collect deletes blobs and layer disks that no image and no lease needs.
func (s *Store) collect(ctx context.Context) error {
	s.usage.forget()
	if _, err := s.db.GarbageCollect(ctx); err != nil {
		return fmt.Errorf("collecting unused blobs: %w", classify(err))
	}
	used := map[digest.Digest]bool{}
	for _, ns := range allNamespaces {
		groups, err := s.groups(ns.context(ctx))
		if err != nil {
			return err
		}
		for _, g := range groups {
			used[g.manifest] = true
		}
	}
	s.forget(used)
	if err := s.sweepLayers(ctx); err != nil {
		return fmt.Errorf("deleting unused layer disks: %w", classify(err))
	}
	return nil
}

// recover clears away what a process that died left half-made.
func (s *Store) recover(ctx context.Context) error {
	entries, err := os.ReadDir(s.cfg.tempDir())
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(s.cfg.tempDir(), e.Name())); err != nil {
			return err
		}
	}
	if err := s.removeUnfinished(ctx); err != nil {
		return err
	}
	if err := s.touchContent(ctx); err != nil {
		return err
	}
	return s.collect(ctx)
}

// touchContent adds a blob that nothing refers to. The collector compares the
// disk with its records only when it deletes a blob: so it does now, and finds
// the files that a crash left without a record.
func (s *Store) touchContent(ctx context.Context) error {
	b := fmt.Appendf(nil, "paddock started at %v", time.Now().UnixNano())
	desc := ocispec.Descriptor{Digest: digest.FromBytes(b), Size: int64(len(b))}
	if err := content.WriteBlob(allNamespaces[0].context(ctx), s.content, "start", bytes.NewReader(b), desc); err != nil {
		return fmt.Errorf("writing to the content store: %w", err)
	}
	return nil
}
