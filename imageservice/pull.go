package imageservice

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/guest"
)

// Pull implements Service. Windows images are fetched but not unpacked where
// this host has no way to; Layers tells then.
func (s *Store) Pull(ctx context.Context, ref string, os guest.OS, auth *Auth) (Image, error) {
	named, err := parseReference(ref)
	if err != nil {
		return Image{}, err
	}
	ns, err := namespaceOf(os)
	if err != nil {
		return Image{}, err
	}
	p := &pull{store: s, ns: ns, named: named, auth: auth}
	img, err := s.pulls.do(ctx, p.flightKey(), p.run)
	if err != nil {
		return Image{}, fmt.Errorf("pulling %s for %v: %w", named, os, err)
	}
	return img, nil
}

// pull is one pull under way.
type pull struct {
	store *Store
	ns    namespace
	named reference.Named
	auth  *Auth
}

// key names what is pulled, over restarts.
func (p *pull) key() string { return digest.FromString(p.named.String()).Encoded() }

// flightKey tells callers apart by their credentials too: nobody gets an image
// by another's.
func (p *pull) flightKey() string {
	var auth Auth
	if p.auth != nil {
		auth = *p.auth
	}
	return p.ns.os.String() + "\x00" + p.named.String() + "\x00" + digest.FromString(fmt.Sprintf("%q", auth)).String()
}

func (p *pull) run(ctx context.Context) (Image, error) {
	ctx = p.ns.context(ctx)
	s, start := p.store, time.Now()
	defer s.usage.forget()
	leased, finish, err := s.beginPull(ctx, p.key())
	if err != nil {
		return Image{}, err
	}
	img, err := p.fetchAndRecord(leased)
	finish()
	if err != nil {
		return Image{}, errors.Join(err, p.cleanUp(context.WithoutCancel(ctx), err))
	}
	if err := s.dropPullLeases(ctx, p.key()); err != nil {
		return Image{}, err
	}
	klog.FromContext(ctx).Info("Pulled an image", "image", p.named.String(), "id", img.ID, "size", img.Size, "took", time.Since(start))
	return img, nil
}

// cleanUp drops what a failed pull unpacked. Its blobs stay for a retry, but not on a full disk.
func (p *pull) cleanUp(ctx context.Context, cause error) error {
	if errors.Is(cause, ErrNoSpace) {
		if err := p.store.dropPullLeases(ctx, p.key()); err != nil {
			return err
		}
	}
	return p.store.collect(ctx)
}

func (p *pull) fetchAndRecord(ctx context.Context) (Image, error) {
	s := p.store
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	reg := s.newRegistry(ctx, p.auth)
	defer reg.close()
	go reg.traffic.watchdog(ctx, s.cfg.PullProgressTimeout, cancel)

	from, target, err := s.resolve(ctx, reg, p.named.String())
	if err != nil {
		return Image{}, err
	}
	img, err := s.fetchManifest(ctx, from, p.named.String(), target, s.cfg.platform(p.ns.os), 0)
	if err != nil {
		return Image{}, err
	}
	unpin := s.pin(img.diffIDs())
	defer unpin()
	if err := p.fetchLayers(ctx, from, img); err != nil {
		return Image{}, err
	}
	if err := s.record(ctx, recordNames(p.named, target.Digest, img.configID.String()), target, img); err != nil {
		return Image{}, err
	}
	return s.get(ctx, p.ns, img.configID.String())
}

// fetchLayers fetches the layers, and unpacks each as soon as it is there.
func (p *pull) fetchLayers(ctx context.Context, from remotes.Fetcher, img *loadedImage) error {
	s := p.store
	if err := s.checkSpace(ctx, img.layers); err != nil {
		return err
	}
	unpacker, unpack := s.unpackers[p.ns.os]
	// The first failure ends all the others; its cause is what is told.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var fetches, unpacks errgroup.Group
	fetches.SetLimit(s.cfg.MaxConcurrentDownloads)
	for i, layer := range img.layers {
		fetches.Go(func() error {
			if err := s.fetch(ctx, from, layer); err != nil {
				cancel(fmt.Errorf("layer %d of %d: %w", i+1, len(img.layers), err))
				return err
			}
			if unpack {
				unpacks.Go(func() error {
					err := s.ensureLayer(ctx, unpacker, layer, img.diffIDs()[i])
					if err != nil {
						cancel(err)
					}
					return err
				})
			}
			return nil
		})
	}
	if err := errors.Join(fetches.Wait(), unpacks.Wait()); err != nil {
		return context.Cause(ctx)
	}
	if s.inFolders(p.ns.os) { // each needs those below it
		_, err := s.ensureFolders(ctx, img, img.diffIDs())
		return err
	}
	return nil
}

// checkSpace refuses a pull that cannot fit, before it fills the disk.
func (s *Store) checkSpace(ctx context.Context, layers []ocispec.Descriptor) error {
	var need int64
	for _, l := range layers {
		if _, err := s.content.Info(ctx, l.Digest); err != nil {
			need += l.Size - s.offset(ctx, remotes.MakeRefKey(ctx, fetchable(l)))
		}
	}
	free, err := freeBytes(s.cfg.Root)
	if err != nil {
		return fmt.Errorf("free space of %s: %w", s.cfg.Root, err)
	}
	if need > free {
		return fmt.Errorf("%w: %d bytes to download, %d free in %s; remove images or enlarge the disk", ErrNoSpace, need, free, s.cfg.Root)
	}
	return nil
}
