//go:build !linux

package podsandbox

import "os"

// tmpfsSize: only Linux hosts have tmpfs.
func tmpfsSize(string) (uint64, bool) { return 0, false }

// ownership is a folder's permission bits; other hosts have no numeric owners.
func ownership(info os.FileInfo) (mode, uid, gid uint32) {
	return uint32(info.Mode().Perm()), 0, 0
}

// bindOrigin: only Linux hosts have bind mounts.
func bindOrigin(string) string { return "" }

// mountsBelow: only Linux hosts have mounts that a bind mount shows.
func mountsBelow(string) []int { return nil }

// nameAgain makes a file known by a second path: a link of its own, as symbolic ones
// need a privilege on Windows, and its hypervisor looks at the file's own access list.
func nameAgain(path, alias string) error { return os.Link(path, alias) }
