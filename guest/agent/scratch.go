//go:build linux

package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/containerd/continuity/fs"
	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/guest/agent/inroot"
	"github.com/paddock-run/paddock/guest/api"
)

// volumeMu serialises the making of volumes: two containers may ask for the same one.
var volumeMu sync.Mutex

// volumes are the names of those made or used; guarded by volumeMu.
var volumes = map[string]bool{}

// scratchVolume is a directory on the scratch disk, made at its first use.
// Missing parents belong to the agent: only the last part is the volume.
func (c *container) scratchVolume(ctx context.Context, s *api.ScratchSource) (string, error) {
	volumeMu.Lock()
	defer volumeMu.Unlock()
	dir := filepath.Join(volumesDir, s.Name)
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	volumes[s.Name] = true
	_, err := os.Lstat(dir)
	if err == nil {
		return dir, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	// Filled aside and renamed, so that a failure leaves no half-filled volume behind.
	making := filepath.Join(filepath.Dir(dir), ".new-"+c.id)
	defer os.RemoveAll(making)
	if err := os.Mkdir(making, 0o700); err != nil {
		return "", err
	}
	if s.CopyUpFrom != "" {
		if err := copyUp(ctx, making, c.rootfs(), s.CopyUpFrom); err != nil {
			return "", fmt.Errorf("fill the volume from %s of the image: %w", s.CopyUpFrom, err)
		}
	}
	if s.CopyUpFrom == "" || s.Mode != 0 {
		if err := os.Chown(making, int(s.Uid), int(s.Gid)); err != nil {
			return "", err
		}
		mode := s.Mode & 0o7777
		if mode == 0 {
			mode = 0o755
		}
		if err := unix.Chmod(making, mode); err != nil {
			return "", err
		}
	}
	return dir, os.Rename(making, dir)
}

// copyUp copies a directory of the image; one that the image lacks leaves the volume empty.
func copyUp(ctx context.Context, to, rootfs, from string) error {
	src, err := inroot.Open(rootfs, from, unix.O_PATH|unix.O_DIRECTORY)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return unix.Chmod(to, 0o755)
	}
	if err != nil {
		return err
	}
	defer src.Close()
	if err := ctx.Err(); err != nil {
		return err
	}
	return fs.CopyDir(to, fmt.Sprintf("/proc/self/fd/%d/.", src.Fd()))
}
