package podsandbox

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// tmpfsSize is the size of the tmpfs mounted at path, if one is.
func tmpfsSize(path string) (bytes uint64, ok bool) {
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err != nil || fs.Type != unix.TMPFS_MAGIC {
		return 0, false
	}
	var self, parent unix.Stat_t
	if unix.Stat(path, &self) != nil || unix.Stat(filepath.Dir(path), &parent) != nil || self.Dev == parent.Dev {
		return 0, false
	}
	return fs.Blocks * uint64(fs.Bsize), true
}

// ownership is a folder's permission bits and owner.
func ownership(info os.FileInfo) (mode, uid, gid uint32) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Mode & 0o7777, st.Uid, st.Gid
	}
	return uint32(info.Mode().Perm()), 0, 0
}

// bindOrigin is the path, within its file system, of what kubelet bind-mounted at a subPath; "" for anything else.
func bindOrigin(path string) string {
	if !strings.Contains(path, "/volume-subpaths/") {
		return ""
	}
	mounts, err := mountinfo.GetMounts(mountinfo.SingleEntryFilter(path))
	if err != nil || len(mounts) == 0 {
		return ""
	}
	return mounts[0].Root
}

// mountsBelow are the ids of the mounts inside a folder, whose links have been followed.
func mountsBelow(path string) []int {
	prefix := strings.TrimSuffix(path, "/") + "/"
	mounts, err := mountinfo.GetMounts(func(m *mountinfo.Info) (skip, stop bool) {
		return !strings.HasPrefix(m.Mountpoint, prefix), false
	})
	if err != nil {
		return nil
	}
	ids := make([]int, 0, len(mounts))
	for _, m := range mounts {
		ids = append(ids, m.ID)
	}
	return ids
}

// nameAgain makes a file known by a second path.
func nameAgain(path, alias string) error { return os.Symlink(path, alias) }
