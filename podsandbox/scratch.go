package podsandbox

import "context"

// ScratchMaker makes the disks that hold what a pod writes: overlay uppers and
// emptyDirs. Hosts differ in the image's format.
type ScratchMaker interface {
	// Make makes a formatted disk at path. On error nothing is left there.
	Make(ctx context.Context, path string) error
	// FileName is what a disk's file is called, e.g. "scratch.ext4".
	FileName() string
}
