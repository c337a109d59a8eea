// Package fusedev reads and writes an open /dev/fuse. How a reader waits is
// chosen with care: Go's network poller may itself wait for a file of the mount.
package fusedev
