//go:build linux

package mountserver

import (
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// copyMount opens a copy of a mount, attached nowhere: the mount itself stays
// free for its container to unmount. Links that a container may have put in the
// way are not followed, and another mount than the one meant is refused.
func copyMount(dir string, k key) (int, error) {
	base, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open %s: %w", dir, err)
	}
	defer unix.Close(base)
	fd, err := unix.Openat2(base, filepath.Join(k.share, k.path), &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return -1, status.Errorf(codes.NotFound, "mount at %q of share %s: %v", k.path, k.share, err)
	}
	defer unix.Close(fd)
	var st unix.Statx_t
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, unix.STATX_MNT_ID, &st); err != nil {
		return -1, fmt.Errorf("stat the mount at %q of share %s: %w", k.path, k.share, err)
	}
	if st.Mnt_id != k.id {
		return -1, status.Errorf(codes.NotFound, "mount at %q of share %s is not %d any more", k.path, k.share, k.id)
	}
	tree, err := unix.OpenTree(fd, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)
	if err != nil {
		return -1, fmt.Errorf("copy the mount at %q of share %s: %w", k.path, k.share, err)
	}
	// What is mounted below later is a mount of its own to the host.
	if err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, &unix.MountAttr{Propagation: unix.MS_PRIVATE}); err != nil {
		unix.Close(tree)
		return -1, fmt.Errorf("make the copy of a mount private: %w", err)
	}
	return tree, nil
}
