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
