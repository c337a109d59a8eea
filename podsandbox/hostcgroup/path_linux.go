package hostcgroup

import (
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const mountPoint = "/sys/fs/cgroup"

// Dirs are the directories of a pod's cgroup, as CRI names it, in every
// hierarchy that accounts for a VM. They need not exist. None if parent is "".
func Dirs(parent string) []string {
	dir := below(parent)
	if dir == "" {
		return nil
	}
	var dirs []string
	for _, root := range hierarchies() {
		dirs = append(dirs, filepath.Join(root, dir))
	}
	return dirs
}

// below turns CRI's cgroup parent into a path below a hierarchy: a path
// (cgroupfs driver) or a slice's name (systemd driver: a-b.slice lies in a.slice).
// "" if there is none that can be used.
func below(parent string) string {
	if parent == "" {
		return ""
	}
	if strings.HasSuffix(parent, ".slice") && !strings.Contains(parent, "/") {
		var dir, prefix string
		for _, part := range strings.Split(strings.TrimSuffix(parent, ".slice"), "-") {
			prefix += part
			dir = filepath.Join(dir, prefix+".slice")
			prefix += "-"
		}
		return dir
	}
	return strings.TrimPrefix(filepath.Clean("/"+parent), "/")
}

// hierarchies are the mounts of cgroup v2, or v1's controllers that account for a VM.
func hierarchies() []string {
	var st unix.Statfs_t
	if unix.Statfs(mountPoint, &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC {
		return []string{mountPoint}
	}
	var roots []string
	for _, controller := range []string{"cpu", "cpuacct", "memory", "pids", "blkio"} {
		root := filepath.Join(mountPoint, controller)
		if unix.Statfs(root, &st) == nil && st.Type == unix.CGROUP_SUPER_MAGIC {
			roots = append(roots, root)
		}
	}
	return roots
}
