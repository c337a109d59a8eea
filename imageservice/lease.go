package imageservice

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/core/metadata/boltutil"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	bolt "go.etcd.io/bbolt"
)

// Names and labels of leases.
const (
	ownerPrefix = "owner/"
	// labelFlat leases a blob without what it refers to.
	labelFlat = "containerd.io/gc.flat"
)

// Layers implements Service. The lease holds the image's config, which names the
// layers; the compressed blobs may go with the image.
func (s *Store) Layers(ctx context.Context, imageID string, owner string) ([]Layer, error) {
	id, ok := parseID(imageID)
	if !ok || owner == "" {
		return nil, fmt.Errorf("%w: layers of image %q for owner %q: want an image id and an owner", ErrInvalidReference, imageID, owner)
	}
	for _, ns := range allNamespaces {
		layers, err := s.layersIn(ns.context(ctx), ns, id, owner)
		if err == nil || !errors.Is(err, ErrNotFound) {
			return layers, err
		}
	}
	return nil, fmt.Errorf("%w: no image with id %s here; pull it first", ErrNotFound, id)
}

func (s *Store) layersIn(ctx context.Context, ns namespace, id, owner string) ([]Layer, error) {
	img, diffIDs, err := s.findLayers(ctx, id, owner)
	if err != nil {
		return nil, gone(err, id, ns.os)
	}
	u, ok := s.unpackers[ns.os]
	if !ok && !s.inFolders(ns.os) {
		return nil, fmt.Errorf("%w: unpacking %v layers on this host is not available yet", ErrUnsupported, ns.os)
	}
	unpin := s.pin(diffIDs)
	defer unpin()
	if err := s.lease(ctx, owner, digest.Digest(id)); err != nil {
		return nil, err
	}
	if s.inFolders(ns.os) {
		return s.ensureFolders(ctx, img, diffIDs)
	}
	out := make([]Layer, len(diffIDs))
	for i, diffID := range diffIDs {
		var blob ocispec.Descriptor
		if img != nil {
			blob = img.layers[i]
		}
		if err := s.ensureLayer(ctx, u, blob, diffID); err != nil {
			return nil, err
		}
		out[i] = Layer{ID: diffID, Path: s.layerPath(u, diffID), FSType: u.FSType()}
	}
	return out, nil
}

// findLayers finds an image's layers, by its record, or, once it is removed, by the owner's lease.
func (s *Store) findLayers(ctx context.Context, id, owner string) (*loadedImage, []digest.Digest, error) {
	rec, err := s.images.Get(ctx, id)
	if err == nil {
		img, err := s.load(ctx, digest.Digest(rec.Labels[labelManifest]))
		if err != nil {
			return nil, nil, err
		}
		return img, img.diffIDs(), nil
	}
	held, lerr := s.leases.ListResources(ctx, leases.Lease{ID: ownerPrefix + owner})
	if lerr != nil || !slices.ContainsFunc(held, func(r leases.Resource) bool { return r.ID == id }) {
		return nil, nil, err
	}
	ids, err := s.configDiffIDs(ctx, digest.Digest(id))
	return nil, ids, err
}

func (s *Store) lease(ctx context.Context, owner string, config digest.Digest) error {
	l := leases.Lease{ID: ownerPrefix + owner}
	err := s.db.Update(func(tx *bolt.Tx) error {
		ctx := boltutil.WithTransaction(ctx, tx)
		_, err := s.leases.Create(ctx, leases.WithID(l.ID), leases.WithLabel(labelFlat, time.Now().UTC().Format(time.RFC3339)))
		if err != nil && !errdefs.IsAlreadyExists(err) {
			return err
		}
		return s.leases.AddResource(ctx, l, leases.Resource{ID: config.String(), Type: "content"})
	})
	if err != nil {
		return fmt.Errorf("leasing layers to %q: %w", owner, classify(err))
	}
	return nil
}

// ReleaseLayers implements Service. Garbage is collected only where the lease
// was the last to hold an image.
func (s *Store) ReleaseLayers(ctx context.Context, owner string) error {
	last := false
	for _, ns := range allNamespaces {
		ctx, l := ns.context(ctx), leases.Lease{ID: ownerPrefix + owner}
		held, err := s.leases.ListResources(ctx, l)
		if err == nil {
			err = s.leases.Delete(ctx, l)
		}
		if err != nil && !errdefs.IsNotFound(err) {
			return fmt.Errorf("releasing the layers of %q: %w", owner, classify(err))
		}
		for _, r := range held {
			_, err := s.images.Get(ctx, r.ID)
			last = last || err != nil
		}
	}
	if !last {
		return nil
	}
	return s.collect(ctx)
}

// LeaseOwners implements Service.
func (s *Store) LeaseOwners(ctx context.Context) ([]string, error) {
	var owners []string
	for _, ns := range allNamespaces {
		list, err := s.leases.List(ns.context(ctx))
		if err != nil {
			return nil, fmt.Errorf("listing leases: %w", err)
		}
		for _, l := range list {
			if owner, ok := strings.CutPrefix(l.ID, ownerPrefix); ok {
				owners = append(owners, owner)
			}
		}
	}
	slices.Sort(owners)
	return slices.Compact(owners), nil
}

// leasedDiffIDs are the layers that owners in a namespace hold.
func (s *Store) leasedDiffIDs(ctx context.Context) ([]digest.Digest, error) {
	list, err := s.leases.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing leases: %w", err)
	}
	var ids []digest.Digest
	for _, l := range list {
		if !strings.HasPrefix(l.ID, ownerPrefix) {
			continue
		}
		held, err := s.leases.ListResources(ctx, l)
		if err != nil && !errdefs.IsNotFound(err) {
			return nil, fmt.Errorf("listing lease %s: %w", l.ID, err)
		}
		for _, r := range held {
			of, err := s.configDiffIDs(ctx, digest.Digest(r.ID))
			if errdefs.IsNotFound(err) {
				continue // leased just as the image was removed: there is nothing to keep
			}
			if err != nil {
				return nil, fmt.Errorf("layers of lease %s: %w", l.ID, err)
			}
			ids = append(ids, of...)
		}
	}
	return ids, nil
}
