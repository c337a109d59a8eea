package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/imageservice"
	"github.com/paddock-run/paddock/podsandbox"
)

// oneImage is an image service with one image, once it was pulled.
type oneImage struct {
	imageservice.Service // what is not used here
	pulled               bool
	failing              error
	owner                string
	layers               []imageservice.Layer
}

func (o *oneImage) Get(context.Context, string, guest.OS) (imageservice.Image, error) {
	if !o.pulled {
		return imageservice.Image{}, imageservice.ErrNotFound
	}
	return imageservice.Image{ID: "sha256:1"}, nil
}

func (o *oneImage) Pull(context.Context, string, guest.OS, *imageservice.Auth) (imageservice.Image, error) {
	o.pulled = o.failing == nil
	return imageservice.Image{ID: "sha256:1"}, o.failing
}

func (o *oneImage) Layers(_ context.Context, _, owner string) ([]imageservice.Layer, error) {
	o.owner = owner
	return o.layers, nil
}

func TestBaseImage(t *testing.T) {
	var layers []imageservice.Layer
	for _, name := range []string{"base", "update", "app"} {
		layers = append(layers, imageservice.Layer{Path: filepath.Join(t.TempDir(), name)})
	}
	images := &oneImage{failing: imageservice.ErrUnavailable, layers: layers}
	b := &baseImage{name: "nanoserver", images: images}
	if _, err := b.find(t.Context()); !errors.Is(err, imageservice.ErrUnavailable) || !strings.Contains(err.Error(), "nanoserver") {
		t.Errorf("an image that cannot be pulled: %v", err)
	}
	images.failing = nil
	if _, err := b.find(t.Context()); err == nil || !strings.Contains(err.Error(), "windows.baseImage") {
		t.Errorf("an image without a UtilityVM: %v", err)
	}
	for _, l := range layers[:2] { // the topmost of these counts
		if err := os.MkdirAll(filepath.Join(l.Path, "UtilityVM"), 0o700); err != nil {
			t.Fatal(err)
		}
		dir, err := b.find(t.Context())
		if err != nil || dir != filepath.Join(l.Path, "UtilityVM") {
			t.Errorf("found %s, %v; want it in %s", dir, err, l.Path)
		}
	}
	if images.owner != podsandbox.WindowsBaseOwner {
		t.Errorf("the lease is %q's", images.owner)
	}
	if (&baseImage{}).utilityVM() != nil {
		t.Error("VMs boot from no image")
	}
}
