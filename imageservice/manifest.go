package imageservice

import (
	"encoding/json"
	"fmt"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Bounds of what a registry may send.
const (
	maxManifestBytes  = 4 << 20
	maxConfigBytes    = 8 << 20
	maxIndexManifests = 1000
	maxLayers         = 500
)

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrCorrupt, fmt.Errorf(format, args...))
}

// checkDescriptor refuses what must not be fetched.
func checkDescriptor(d ocispec.Descriptor, maxSize int64) error {
	if err := d.Digest.Validate(); err != nil {
		return corrupt("digest %q: %w", d.Digest, err)
	}
	if d.Size <= 0 || d.Size > maxSize {
		return corrupt("%s: size is %d bytes, must be 1 to %d", d.Digest, d.Size, maxSize)
	}
	return nil
}

// parseIndex reads an index or Docker manifest list.
func parseIndex(b []byte) (ocispec.Index, error) {
	var index ocispec.Index
	if err := unmarshal(b, maxManifestBytes, &index); err != nil {
		return index, corrupt("index: %w", err)
	}
	if len(index.Manifests) > maxIndexManifests {
		return index, corrupt("index lists %d manifests, at most %d are accepted", len(index.Manifests), maxIndexManifests)
	}
	for _, d := range index.Manifests {
		if err := checkDescriptor(d, maxManifestBytes); err != nil {
			return index, fmt.Errorf("index entry: %w", err)
		}
	}
	return index, nil
}

// parseManifest reads an image manifest.
func parseManifest(b []byte) (ocispec.Manifest, error) {
	var m ocispec.Manifest
	if err := unmarshal(b, maxManifestBytes, &m); err != nil {
		return m, corrupt("manifest: %w", err)
	}
	if err := checkDescriptor(m.Config, maxConfigBytes); err != nil {
		return m, fmt.Errorf("config of manifest: %w", err)
	}
	if m.Config.Digest.Algorithm() != digest.SHA256 {
		return m, corrupt("config %s: only sha256 is supported", m.Config.Digest)
	}
	if len(m.Layers) > maxLayers {
		return m, corrupt("manifest has %d layers, at most %d are accepted", len(m.Layers), maxLayers)
	}
	for i, d := range m.Layers {
		if err := checkDescriptor(d, 1<<40); err != nil {
			return m, fmt.Errorf("layer %d: %w", i+1, err)
		}
		if !images.IsLayerType(d.MediaType) {
			return m, fmt.Errorf("%w: layer %d (%s) is %q, no file system layer; this is not a container image", ErrUnsupported, i+1, d.Digest, d.MediaType)
		}
	}
	return m, nil
}

// parseConfig reads an image's config and checks it against its manifest.
func parseConfig(b []byte, m ocispec.Manifest) (ocispec.Image, error) {
	var img ocispec.Image
	if err := unmarshal(b, maxConfigBytes, &img); err != nil {
		return img, corrupt("config: %w", err)
	}
	if len(img.RootFS.DiffIDs) != len(m.Layers) {
		return img, corrupt("config names %d layers, manifest %d", len(img.RootFS.DiffIDs), len(m.Layers))
	}
	for i, id := range img.RootFS.DiffIDs {
		if err := id.Validate(); err != nil {
			return img, corrupt("layer %d: diff id %q: %w", i+1, id, err)
		}
		if id.Algorithm() != digest.SHA256 {
			return img, corrupt("layer %d: diff id %s: only sha256 is supported", i+1, id)
		}
	}
	if img.OS == "" {
		img.OS = "linux"
	}
	return img, nil
}

func unmarshal(b []byte, limit int, v any) error {
	if len(b) > limit {
		return fmt.Errorf("%d bytes, at most %d are accepted", len(b), limit)
	}
	return json.Unmarshal(b, v)
}

// isIndex tells an index from a manifest, by its type or, failing that, by what it holds.
func isIndex(mediaType string, b []byte) bool {
	if images.IsIndexType(mediaType) {
		return true
	}
	if images.IsManifestType(mediaType) {
		return false
	}
	var probe struct {
		Manifests []json.RawMessage `json:"manifests"`
	}
	return json.Unmarshal(b, &probe) == nil && len(probe.Manifests) > 0
}
