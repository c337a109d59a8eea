package imageservice

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/errdefs"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"k8s.io/klog/v2"
)

// Retries of a fetch. Attempts that got further do not count against idleAttempts.
const (
	idleAttempts  = 4
	totalAttempts = 50
	firstBackoff  = 100 * time.Millisecond
	maxBackoff    = 3 * time.Second
)

// fetch puts a blob into the content store, unless it is there. A part left by
// an earlier attempt, of this process or one before, is continued. Whoever comes
// second for the same blob waits for the first.
func (s *Store) fetch(ctx context.Context, from remotes.Fetcher, desc ocispec.Descriptor) error {
	unlock, err := s.blobs.lock(ctx, desc.Digest.String())
	if err != nil {
		return err
	}
	defer unlock()
	err = s.fetchLocked(ctx, from, fetchable(desc))
	if err != nil {
		return fmt.Errorf("fetching %s: %w", desc.Digest, classify(err))
	}
	return nil
}

// fetchable keeps of a descriptor only what a fetch needs. Other sources that a
// manifest names are used for layers that no registry may carry, and never else.
func fetchable(d ocispec.Descriptor) ocispec.Descriptor {
	clean := ocispec.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}
	if images.IsNonDistributable(d.MediaType) {
		clean.URLs = d.URLs
	}
	return clean
}

func (s *Store) fetchLocked(ctx context.Context, from remotes.Fetcher, desc ocispec.Descriptor) error {
	key := remotes.MakeRefKey(ctx, desc)
	reached, idle, mismatches := s.offset(ctx, key), 0, 0
	for attempt := 1; ; attempt++ {
		err := remotes.Fetch(ctx, s.content, from, desc)
		if err == nil || errdefs.IsAlreadyExists(err) {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if errdefs.IsFailedPrecondition(err) {
			// What is there is not what the digest says: begin again, once.
			if abortErr := s.content.Abort(ctx, key); abortErr != nil && !errdefs.IsNotFound(abortErr) {
				return errors.Join(err, abortErr)
			}
			if mismatches++; mismatches > 1 {
				return corrupt("%s does not match its digest or size: %w", desc.Digest, err)
			}
			reached = 0
			continue
		}
		if !isTransient(err) {
			return err
		}
		now := s.offset(ctx, key)
		if idle++; now > reached {
			idle, reached = 0, now
		}
		if idle >= idleAttempts || attempt >= totalAttempts {
			return fmt.Errorf("%w: %d of %d bytes received in %d attempts, pull again to continue: %w", ErrUnavailable, now, desc.Size, attempt, err)
		}
		klog.FromContext(ctx).V(2).Info("Fetching a blob again", "digest", desc.Digest, "offset", now, "size", desc.Size, "err", err)
		if err := sleep(ctx, backoff(idle)); err != nil {
			return err
		}
	}
}

// offset is how much of an unfinished blob is on disk.
func (s *Store) offset(ctx context.Context, key string) int64 {
	st, err := s.content.Status(ctx, key)
	if err != nil {
		return 0
	}
	return st.Offset
}

func backoff(n int) time.Duration { return min(firstBackoff<<n, maxBackoff) }

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// read returns a small blob of the content store.
func (s *Store) read(ctx context.Context, desc ocispec.Descriptor, limit int64) ([]byte, error) {
	desc = ocispec.Descriptor{Digest: desc.Digest, Size: desc.Size}
	info, err := s.content.Info(ctx, desc.Digest)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", desc.Digest, err)
	}
	if info.Size > limit {
		return nil, corrupt("%s: %d bytes, at most %d are accepted", desc.Digest, info.Size, limit)
	}
	b, err := content.ReadBlob(ctx, s.content, desc)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", desc.Digest, err)
	}
	return b, nil
}
