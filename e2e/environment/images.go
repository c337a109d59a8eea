package environment

import (
	"context"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/paddock-run/paddock/e2e/registry"
)

// Images are by name, without a tag.
type Images map[string]v1.Image

// Reference is what a runtime pulls an image by that is served at host.
func Reference(host, name string) string { return host + "/" + name + tag }

const tag = ":1"

// At pushes the images, for host to serve them.
func (i Images) At(host string) func(context.Context, *registry.Registry, string) error {
	return func(ctx context.Context, reg *registry.Registry, certsDir string) error {
		for name, img := range i {
			if _, err := reg.Push(ctx, name+tag, img); err != nil {
				return err
			}
		}
		return reg.WriteMirror(certsDir, host)
	}
}
