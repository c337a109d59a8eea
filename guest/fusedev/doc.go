// Package fusedev reads and writes an open /dev/fuse by plain system calls: Go's
// network poller may itself wait for a file of the mount.
package fusedev
