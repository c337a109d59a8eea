//go:build linux

package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/guest/api"
)

// maxLayers is overlayfs's limit of lower directories.
const maxLayers = 500

// mountRootfs mounts the image's layers and an overlay of them with the
// container's own writable directory. Writes of a read-only container fail by
// the runtime's remount; mount points must still be made in it.
func (a *Agent) mountRootfs(ctx context.Context, c *container, layers []*api.Layer) error {
	lowers, err := a.mountLayers(ctx, c, layers)
	if err != nil {
		return err
	}
	return c.mountWritable(lowers)
}

// mountWritable mounts the overlay of lowers and the container's own directory as its root.
func (c *container) mountWritable(lowers []string) error {
	return c.mountWritableAt(c.rootfs(), lowers)
}

func (c *container) mountWritableAt(target string, lowers []string) error {
	upper, work := filepath.Join(c.writable(), "u"), filepath.Join(c.writable(), "w")
	for _, dir := range []string{upper, work, target} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make the container's writable layer: %w", err)
		}
	}
	// The root directory is the container's; below it the layers' mounts translate ids.
	if err := os.Chown(upper, c.pod.root(), c.pod.root()); err != nil {
		return fmt.Errorf("give the container its root directory: %w", err)
	}
	if err := hideLostFound(upper); err != nil {
		return err
	}
	// volatile: the writable layer does not outlive the VM, so nothing need be synced for its sake.
	return mountOverlay(target, 0, lowers, fmt.Sprintf(",upperdir=%s,workdir=%s,volatile", upper, work))
}

// mountLayers mounts an image's layers for the container and tells where, the topmost first as overlayfs wants them.
func (a *Agent) mountLayers(ctx context.Context, c *container, layers []*api.Layer) ([]string, error) {
	lowers := make([]string, len(layers))
	group, groupCtx := errgroup.WithContext(ctx)
	mounted := make([]bool, len(layers))
	for i, layer := range layers {
		group.Go(func() (err error) {
			lowers[i], err = a.disks.Mount(groupCtx, diskAddress(layer.Disk), layer.FsType, true)
			mounted[i] = err == nil
			return err
		})
	}
	err := group.Wait()
	for i, ok := range mounted {
		if ok {
			c.disks = append(c.disks, diskAddress(layers[i].Disk))
		}
	}
	if err != nil {
		return nil, fmt.Errorf("mount the image's layers: %w", err)
	}
	slices.Reverse(lowers)
	return lowers, nil
}

// mountOverlay mounts an overlay of lowers, the topmost first; more is added to its options.
func mountOverlay(target string, flags uintptr, lowers []string, more string) error {
	options := "lowerdir=" + strings.Join(lowers, ":") + more
	if len(options) >= os.Getpagesize() {
		return invalid("%d layers are too many for one overlay", len(lowers))
	}
	if err := unix.Mount("overlay", target, "overlay", flags, options); err != nil {
		return fmt.Errorf("mount the overlay of %d layers: %w", len(lowers), err)
	}
	return nil
}

// checkLayers finds layers that can never be mounted.
func checkLayers(layers []*api.Layer) error {
	if n := len(layers); n == 0 || n > maxLayers {
		return invalid("%d layers: want 1 to %d", n, maxLayers)
	}
	for i, l := range layers {
		if l.GetDisk() == nil || l.FsType != "ext4" {
			return invalid("layer %d: want an ext4 disk with an address", i)
		}
	}
	return nil
}

// hideLostFound covers the folder that every ext4 disk has at its root and no
// image means, with overlayfs's mark for what is deleted.
func hideLostFound(upper string) error {
	err := unix.Mknod(filepath.Join(upper, "lost+found"), unix.S_IFCHR, 0)
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("hide lost+found: %w", err)
	}
	return nil
}
