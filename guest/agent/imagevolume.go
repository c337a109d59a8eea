//go:build linux

package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/status"

	"github.com/paddock-run/paddock/guest/agent/inroot"
	"github.com/paddock-run/paddock/guest/api"
)

// imageVolume mounts an image's content read-only beside stage, and shows a
// folder of it at stage. It tells where what is wanted is.
func (a *Agent) imageVolume(ctx context.Context, c *container, image *api.ImageSource, stage string) (string, error) {
	lowers, err := a.mountLayers(ctx, c, image.Layers)
	if err != nil {
		return "", err
	}
	mask, err := c.mask()
	if err != nil {
		return "", err
	}
	root := stage + ".image"
	if err := os.MkdirAll(root, 0o755); err != nil {
		return "", err
	}
	if err := mountOverlay(root, unix.MS_RDONLY, append([]string{mask}, lowers...), ""); err != nil {
		return "", err
	}
	if image.Subpath == "" {
		return root, nil
	}
	// Single files are not what image volumes are for (KEP-4639).
	dir, err := inroot.Open(root, image.Subpath, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return "", invalid("the image has no folder %q: %v", image.Subpath, errors.Unwrap(err))
	}
	dir.Close()
	return withSubpath(root, image.Subpath, stage)
}

// mask is a folder that hides lost+found when it is the topmost layer. It is
// also the second lower directory, which overlayfs wants where nothing can be written.
func (c *container) mask() (string, error) {
	dir := filepath.Join(c.dir(), "mask")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	return dir, hideLostFound(dir)
}

// imageVolumeError marks an error as one of an image volume, which kubelet wants to know.
func imageVolumeError(err error, destination string) error {
	if err == nil {
		return nil
	}
	marked, detailErr := status.Convert(asStatus(err)).WithDetails(&api.ImageVolumeError{Destination: destination})
	if detailErr != nil {
		return fmt.Errorf("%w (%w)", err, detailErr)
	}
	return &coded{marked}
}
