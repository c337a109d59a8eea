package cri

import (
	"context"
	"fmt"
	"sync"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/imageservice"
)

// fakeImages is an imageservice.Service in memory. Any reference can be pulled unless fail is set.
type fakeImages struct {
	mu     sync.Mutex
	calls  int
	fail   error
	user   string
	images map[string]imageservice.Image // by reference and OS
	auth   *imageservice.Auth
}

func newFakeImages() *fakeImages { return &fakeImages{images: map[string]imageservice.Image{}} }

func (f *fakeImages) called() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

func (f *fakeImages) Pull(_ context.Context, ref string, os guest.OS, auth *imageservice.Auth) (imageservice.Image, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	f.auth = auth
	if f.fail != nil {
		return imageservice.Image{}, f.fail
	}
	img := imageservice.Image{
		ID: fmt.Sprintf("sha256:%s-%s", ref, os), RepoTags: []string{ref}, OS: os, Size: 42,
		Platform: ocispec.Platform{OS: os.String(), Architecture: "amd64"},
		Config:   ocispec.ImageConfig{User: f.user},
	}
	f.images[ref+"|"+os.String()] = img
	return img, nil
}

func (f *fakeImages) Get(_ context.Context, name string, os guest.OS) (imageservice.Image, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for key, img := range f.images {
		if img.OS == os && (key == name+"|"+os.String() || img.ID == name) {
			return img, nil
		}
	}
	return imageservice.Image{}, imageservice.ErrNotFound
}

func (f *fakeImages) Find(ctx context.Context, name string) ([]imageservice.Image, error) {
	var found []imageservice.Image
	for _, os := range []guest.OS{guest.Linux, guest.Windows} {
		if img, err := f.Get(ctx, name, os); err == nil {
			found = append(found, img)
		}
	}
	if found == nil {
		return nil, imageservice.ErrNotFound
	}
	return found, nil
}

func (f *fakeImages) List(context.Context) ([]imageservice.Image, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []imageservice.Image
	for _, img := range f.images {
		list = append(list, img)
	}
	return list, nil
}

func (f *fakeImages) Remove(_ context.Context, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	for key, img := range f.images {
		if img.ID == name || img.RepoTags[0] == name {
			delete(f.images, key)
		}
	}
	return f.fail
}

func (f *fakeImages) Layers(context.Context, string, string) ([]imageservice.Layer, error) {
	return nil, nil
}
func (f *fakeImages) ReleaseLayers(context.Context, string) error   { return nil }
func (f *fakeImages) LeaseOwners(context.Context) ([]string, error) { return nil, nil }
func (f *fakeImages) FSInfo(context.Context) (imageservice.FSInfo, error) {
	return imageservice.FSInfo{Time: time.Now(), Mountpoint: "/var/lib/paddock", UsedBytes: 1000, Inodes: 7}, nil
}
