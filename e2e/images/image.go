package images

import (
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Image makes a linux image of layers, lowest first.
func Image(arch string, cfg v1.Config, layers ...Tree) (v1.Image, error) {
	var packed []v1.Layer
	for _, t := range layers {
		l, err := t.Layer()
		if err != nil {
			return nil, err
		}
		packed = append(packed, l)
	}
	return ImageOf(arch, cfg, packed...)
}

// ImageOf makes a linux image of layers that are packed already, lowest first.
func ImageOf(arch string, cfg v1.Config, layers ...v1.Layer) (v1.Image, error) {
	var adds []mutate.Addendum
	for _, l := range layers {
		adds = append(adds, mutate.Addendum{Layer: l, History: v1.History{CreatedBy: "paddock e2e", Created: v1.Time{Time: epoch}}})
	}
	img, err := mutate.Append(empty.Image, adds...)
	if err != nil {
		return nil, err
	}
	file, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Created, file.Config = "linux", arch, v1.Time{Time: epoch}, cfg
	return mutate.ConfigFile(img, file)
}

// Index makes one reference of images for several architectures.
func Index(byArch map[string]v1.Image) v1.ImageIndex {
	var idx v1.ImageIndex = empty.Index
	for _, arch := range []string{"amd64", "arm64"} {
		if img := byArch[arch]; img != nil {
			idx = mutate.AppendManifests(idx, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{
				Platform: &v1.Platform{OS: "linux", Architecture: arch},
			}})
		}
	}
	return idx
}
