package imageservice

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// maxIndexDepth bounds indexes within indexes.
const maxIndexDepth = 3

// gcRef is the label by which containerd's garbage collector finds what a blob refers to.
const gcRef = "containerd.io/gc.ref.content."

// resolve asks the registry what a reference means now.
func (s *Store) resolve(ctx context.Context, reg *registry, ref string) (remotes.Fetcher, ocispec.Descriptor, error) {
	var name string
	var desc ocispec.Descriptor
	var err error
	for i := range idleAttempts {
		if name, desc, err = reg.Resolve(ctx, ref); err == nil || !isTransient(err) {
			break
		}
		if err := sleep(ctx, backoff(i)); err != nil {
			return nil, desc, err
		}
	}
	if ctx.Err() != nil {
		return nil, desc, context.Cause(ctx)
	}
	if err != nil {
		return nil, desc, fmt.Errorf("asking the registry for %s: %w", ref, classify(err))
	}
	if err := checkDescriptor(desc, maxManifestBytes); err != nil {
		return nil, desc, fmt.Errorf("manifest of %s: %w", ref, err)
	}
	fetcher, err := reg.Fetcher(ctx, name)
	return fetcher, desc, classify(err)
}

// fetchManifest goes from a descriptor, through indexes, to the manifest for
// want, and fetches it with its config. ErrNoPlatform if there is none.
func (s *Store) fetchManifest(ctx context.Context, from remotes.Fetcher, ref string, desc ocispec.Descriptor, want ocispec.Platform, depth int) (*loadedImage, error) {
	if err := s.fetch(ctx, from, desc); err != nil {
		return nil, err
	}
	b, err := s.read(ctx, desc, maxManifestBytes)
	if err != nil {
		return nil, err
	}
	if !isIndex(desc.MediaType, b) {
		return s.fetchConfig(ctx, from, ref, desc, b, want)
	}
	if depth == maxIndexDepth {
		return nil, corrupt("%s: indexes nest deeper than %d", desc.Digest, maxIndexDepth)
	}
	index, err := parseIndex(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", desc.Digest, err)
	}
	candidates := rankManifests(index, want)
	if len(candidates) == 0 {
		candidates = unlabelled(index)
	}
	have := platformNames(index)
	for _, c := range candidates {
		img, err := s.fetchManifest(ctx, from, ref, c, want, depth+1)
		if err == nil {
			return img, s.link(ctx, desc.Digest, map[string]digest.Digest{"m.0": c.Digest})
		}
		if c.Platform != nil || !isNoPlatform(err) {
			return nil, err
		}
		have = append(have, "an unlabelled one of another platform")
	}
	return nil, noPlatform(ref, want, have)
}

func (s *Store) fetchConfig(ctx context.Context, from remotes.Fetcher, ref string, desc ocispec.Descriptor, b []byte, want ocispec.Platform) (*loadedImage, error) {
	m, err := parseManifest(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", desc.Digest, err)
	}
	if err := s.fetch(ctx, from, m.Config); err != nil {
		return nil, err
	}
	img, err := s.load(ctx, desc.Digest)
	if err != nil {
		return nil, err
	}
	if !runsOn(img.config.Platform, want) {
		return nil, noPlatform(ref, want, []string{platformName(img.config.Platform)})
	}
	refs := map[string]digest.Digest{"config": m.Config.Digest}
	for i, l := range m.Layers {
		refs[fmt.Sprintf("l.%d", i)] = l.Digest
	}
	return img, s.link(ctx, desc.Digest, refs)
}

// link tells the garbage collector what a blob refers to.
func (s *Store) link(ctx context.Context, from digest.Digest, to map[string]digest.Digest) error {
	info := content.Info{Digest: from, Labels: map[string]string{}}
	for name, d := range to {
		info.Labels[gcRef+name] = d.String()
	}
	var paths []string
	for _, label := range slices.Sorted(maps.Keys(info.Labels)) {
		paths = append(paths, "labels."+label)
	}
	if _, err := s.content.Update(ctx, info, paths...); err != nil {
		return fmt.Errorf("linking %s: %w", from, classify(err))
	}
	return nil
}
