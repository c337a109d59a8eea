package imageservice

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/core/metadata"
	"github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	bolt "go.etcd.io/bbolt"
	"golang.org/x/sync/semaphore"

	"github.com/paddock-run/paddock/guest"
)

// Store implements Service on containerd's content and metadata stores.
type Store struct {
	cfg       Config
	bolt      *bolt.DB
	db        *metadata.DB
	content   content.Store
	images    images.Store
	leases    leases.Manager
	unpackers map[guest.OS]Unpacker
	pinned    map[string]bool

	pulls       flights
	blobs       keyLock // by digest: one download at a time
	unpacks     keyLock // by path: one unpacking at a time
	unpackSlots *semaphore.Weighted
	usage       usage
	pullLeases  pullLeases

	// layersMu is held while disks are deleted.
	layersMu sync.Mutex
	pins     map[digest.Digest]int

	loadedMu sync.Mutex
	loaded   map[digest.Digest]*loadedImage // by manifest
}

var _ Service = (*Store)(nil)

// New opens the store under cfg.Root, and makes it if there is none. Only one
// process can have it open; New fails after a few seconds otherwise.
func New(ctx context.Context, cfg Config) (*Store, error) {
	cfg = cfg.withDefaults()
	s, err := open(cfg)
	if err != nil {
		return nil, fmt.Errorf("opening the image store %s: %w", cfg.Root, classify(err))
	}
	if err := errors.Join(s.db.Init(ctx), s.recover(ctx)); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the image store %s: %w", cfg.Root, classify(err)), s.Close())
	}
	return s, nil
}

func open(cfg Config) (*Store, error) {
	// Virtual machines run as users of their own and open layer disks by path.
	for dir, mode := range map[string]os.FileMode{cfg.Root: 0o711, cfg.layersDir(): 0o711, cfg.tempDir(): 0o700} {
		if err := os.MkdirAll(dir, mode); err != nil {
			return nil, err
		}
	}
	blobs, err := local.NewStore(cfg.contentDir())
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(cfg.contentDir(), 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(cfg.Root, "meta.db")
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: 5 * time.Second})
	if err != nil {
		return nil, fmt.Errorf("%s (is another process using it?): %w", path, err)
	}
	meta := metadata.NewDB(db, blobs, nil)
	unpackers := map[guest.OS]Unpacker{guest.Linux: ext4Unpacker{maxBytes: cfg.MaxLayerBytes}}
	if cfg.WindowsFolders == nil {
		unpackers[guest.Windows] = ext4Unpacker{maxBytes: cfg.MaxLayerBytes, windows: true}
	}
	return &Store{
		cfg:         cfg,
		bolt:        db,
		db:          meta,
		content:     meta.ContentStore(),
		images:      metadata.NewImageStore(meta),
		leases:      metadata.NewLeaseManager(meta),
		unpackers:   unpackers,
		pinned:      cfg.pinned(),
		unpackSlots: semaphore.NewWeighted(int64(cfg.MaxConcurrentUnpacks)),
		pins:        map[digest.Digest]int{},
		loaded:      map[digest.Digest]*loadedImage{},
	}, nil
}

// Close closes the store, once pulls that were given up have ended. No other
// call may be under way.
func (s *Store) Close() error {
	s.pulls.wait()
	return s.bolt.Close()
}

// Get implements Service.
func (s *Store) Get(ctx context.Context, refOrID string, os guest.OS) (Image, error) {
	ns, err := namespaceOf(os)
	if err != nil {
		return Image{}, err
	}
	img, err := s.get(ns.context(ctx), ns, refOrID)
	return img, gone(err, refOrID, os)
}

func (s *Store) get(ctx context.Context, ns namespace, refOrID string) (Image, error) {
	id, err := s.lookup(ctx, refOrID)
	if err != nil {
		return Image{}, err
	}
	groups, err := s.groups(ctx)
	if err != nil {
		return Image{}, err
	}
	g := groups[id]
	if g == nil {
		return Image{}, errdefs.ErrNotFound
	}
	l, err := s.load(ctx, g.manifest)
	if err != nil {
		return Image{}, err
	}
	return s.image(ns, l, g.names), nil
}

// Find implements Service.
func (s *Store) Find(ctx context.Context, refOrID string) ([]Image, error) {
	var out []Image
	for _, ns := range allNamespaces {
		img, err := s.get(ns.context(ctx), ns, refOrID)
		if errdefs.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, img)
	}
	return out, nil
}

// List implements Service.
func (s *Store) List(ctx context.Context) ([]Image, error) {
	var out []Image
	for _, ns := range allNamespaces {
		list, err := s.list(ns.context(ctx), ns)
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	return out, nil
}

// Remove implements Service.
func (s *Store) Remove(ctx context.Context, refOrID string) error {
	for _, ns := range allNamespaces {
		if err := s.removeIn(ns.context(ctx), refOrID); err != nil {
			return fmt.Errorf("removing %s: %w", refOrID, classify(err))
		}
	}
	return s.collect(ctx)
}

func (s *Store) removeIn(ctx context.Context, refOrID string) error {
	id, err := s.lookup(ctx, refOrID)
	if errdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	groups, err := s.groups(ctx)
	if err != nil || groups[id] == nil {
		return err
	}
	for _, name := range groups[id].names {
		if err := s.images.Delete(ctx, name); err != nil && !errdefs.IsNotFound(err) {
			return err
		}
	}
	return nil
}
