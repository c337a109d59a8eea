package imageservice

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/metadata/boltutil"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	bolt "go.etcd.io/bbolt"
	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/guest"
)

// Labels of an image record: which of an index's images it is.
const (
	labelID       = "paddock.run/image-id"
	labelManifest = "paddock.run/manifest"
)

// namespace is where an OS keeps its records: containerd's metadata has one
// image per name and namespace, and we have one per name and OS. Blobs are shared.
type namespace struct{ os guest.OS }

var allNamespaces = []namespace{{guest.Linux}, {guest.Windows}}

func (n namespace) context(ctx context.Context) context.Context {
	return namespaces.WithNamespace(ctx, n.os.String())
}

func namespaceOf(os guest.OS) (namespace, error) {
	for _, ns := range allNamespaces {
		if ns.os == os {
			return ns, nil
		}
	}
	return namespace{}, fmt.Errorf("%w: %v", ErrUnsupported, os)
}

// record writes, at once, every name of an image. A tag moves from the image it meant before.
func (s *Store) record(ctx context.Context, names []string, target ocispec.Descriptor, img *loadedImage) error {
	target = ocispec.Descriptor{MediaType: target.MediaType, Digest: target.Digest, Size: target.Size}
	labels := map[string]string{labelID: img.configID.String(), labelManifest: img.manifest.String()}
	err := s.db.Update(func(tx *bolt.Tx) error {
		ctx := boltutil.WithTransaction(ctx, tx)
		for _, name := range names {
			rec := images.Image{Name: name, Target: target, Labels: labels}
			_, err := s.images.Create(ctx, rec)
			if errdefs.IsAlreadyExists(err) {
				_, err = s.images.Update(ctx, rec, "target", "labels")
			}
			if err != nil {
				return fmt.Errorf("recording %s: %w", name, err)
			}
		}
		return nil
	})
	return classify(err)
}

// lookup finds the id that a tag, digest reference or id means in a namespace.
func (s *Store) lookup(ctx context.Context, refOrID string) (id string, err error) {
	name, ok := parseID(refOrID)
	if !ok {
		named, err := parseReference(refOrID)
		if err != nil {
			return "", err
		}
		name = named.String()
	}
	rec, err := s.images.Get(ctx, name)
	if err != nil {
		return "", err
	}
	return rec.Labels[labelID], nil
}

// group is the records of one image id.
type group struct {
	names    []string
	manifest digest.Digest
}

// groups returns all records of a namespace by image id.
func (s *Store) groups(ctx context.Context) (map[string]*group, error) {
	recs, err := s.images.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing image records: %w", err)
	}
	groups := map[string]*group{}
	for _, rec := range recs {
		id := rec.Labels[labelID]
		g := groups[id]
		if g == nil {
			g = &group{}
			groups[id] = g
		}
		g.names = append(g.names, rec.Name)
		// The record named by the id is the newest manifest with this config.
		if g.manifest == "" || rec.Name == id {
			g.manifest = digest.Digest(rec.Labels[labelManifest])
		}
	}
	for _, g := range groups {
		slices.Sort(g.names)
	}
	return groups, nil
}

// list returns the images of a namespace. One that cannot be read is left out
// and logged, so that it does not hide the others.
func (s *Store) list(ctx context.Context, ns namespace) ([]Image, error) {
	groups, err := s.groups(ctx)
	if err != nil {
		return nil, err
	}
	var out []Image
	for id, g := range groups {
		l, err := s.load(ctx, g.manifest)
		if err != nil {
			klog.FromContext(ctx).Error(err, "An image cannot be read, remove it and pull it again", "image", id, "names", g.names)
			continue
		}
		out = append(out, s.image(ns, l, g.names))
	}
	slices.SortFunc(out, func(a, b Image) int { return cmp.Compare(a.ID, b.ID) })
	return out, nil
}
