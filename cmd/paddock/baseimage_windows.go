package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/imageservice"
	"github.com/paddock-run/paddock/network/hns"
	"github.com/paddock-run/paddock/podsandbox"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv"
)

// baseImage is the image that VMs of Windows pods boot from.
type baseImage struct {
	name   string
	images imageservice.Service // set before the first VM is made
}

// utilityVM is for hyperv.Config; nil if there is no such image.
func (b *baseImage) utilityVM() func(context.Context) (string, error) {
	if b.name == "" {
		return nil
	}
	return b.find
}

// find returns the folder UtilityVM of the image, which is pulled if it is not there.
// Its lease is never given back: VMs read from the folder as long as they run.
func (b *baseImage) find(ctx context.Context) (string, error) {
	image, err := b.images.Get(ctx, b.name, guest.Windows)
	if errors.Is(err, imageservice.ErrNotFound) {
		image, err = b.images.Pull(ctx, b.name, guest.Windows, nil)
	}
	if err != nil {
		return "", fmt.Errorf("image %s: %w", b.name, err)
	}
	layers, err := b.images.Layers(ctx, image.ID, podsandbox.WindowsBaseOwner)
	if err != nil {
		return "", fmt.Errorf("image %s: %w", b.name, err)
	}
	for _, l := range slices.Backward(layers) { // the topmost wins, as with hcsshim
		dir := filepath.Join(l.Path, "UtilityVM")
		if _, err := os.Stat(dir); err == nil {
			return dir, nil
		}
	}
	return "", fmt.Errorf("image %s has no folder UtilityVM: set windows.baseImage to one that has", b.name)
}

// guestEndpoint is what a Windows guest is told of an endpoint.
func guestEndpoint(_ context.Context, id string) (hyperv.GuestEndpoint, error) {
	namespace, endpoint, err := hns.GuestDocuments(id)
	if err != nil {
		return hyperv.GuestEndpoint{}, err
	}
	return hyperv.GuestEndpoint{NamespaceID: namespace.Id, Namespace: namespace, Endpoint: endpoint}, nil
}
