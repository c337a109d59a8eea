package podsandbox

import (
	"context"
	"errors"
	"fmt"

	guestapi "github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/imageservice"
)

// findVolumes finds the images of the container's image volumes, for the pod's OS.
func (k *containerMake) findVolumes(ctx context.Context) error {
	for i := range k.cfg.Mounts {
		m := &k.cfg.Mounts[i]
		if m.Image == "" {
			continue
		}
		image, err := k.localImage(ctx, m.Image)
		if err != nil {
			return fmt.Errorf("%w: mount %s: %w", ErrImageVolume, m.ContainerPath, err)
		}
		if k.volumes == nil {
			k.volumes = map[string]imageservice.Image{}
		}
		k.volumes[m.ContainerPath] = image
	}
	return nil
}

// localImage finds an image for the pod's OS. It must have been pulled.
func (k *containerMake) localImage(ctx context.Context, name string) (imageservice.Image, error) {
	os, _ := k.s.status.Load().Config.Handler.OS()
	image, err := k.m.deps.Images.Get(ctx, name, os)
	if errors.Is(err, imageservice.ErrNotFound) {
		return image, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return image, err
}

// imageRef is what statuses call an image: its repo digest, or its id when it has none.
func imageRef(image *imageservice.Image) string {
	if len(image.RepoDigests) > 0 {
		return image.RepoDigests[0]
	}
	return image.ID
}

// volumeRefs is the ImageRef of each image volume, by container path.
func (k *containerMake) volumeRefs() map[string]string {
	if len(k.volumes) == 0 {
		return nil
	}
	refs := make(map[string]string, len(k.volumes))
	for path, image := range k.volumes {
		refs[path] = imageRef(&image)
	}
	return refs
}

// imageSource attaches the layers of an image volume; what they share with other images is attached once.
func (k *containerMake) imageSource(ctx context.Context, m *Mount) (*guestapi.Mount_Image, error) {
	if k.windowsGuest() {
		return nil, fmt.Errorf("%w: %w: a container of a Windows VM cannot have image volumes: copy the files into its own image", ErrImageVolume, ErrUnsupported)
	}
	layers, _, err := k.leaseLayers(ctx, k.volumes[m.ContainerPath].ID)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrImageVolume, err)
	}
	return &guestapi.Mount_Image{Image: &guestapi.ImageSource{Layers: layers, Subpath: m.SubPath}}, nil
}
