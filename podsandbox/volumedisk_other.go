//go:build !linux

package podsandbox

import "os"

// emptyDirDisks: without mkfs.ext4, emptyDirs with a limit are on the pod's scratch disk like others.
const emptyDirDisks = false

// blockDevice: devices of other hosts are not passed on by path.
func blockDevice(string) string { return "" }

// notMounted: other hosts lock a disk that they have mounted.
func notMounted(string) error { return nil }

func setMode(path string, mode uint32) error { return os.Chmod(path, os.FileMode(mode).Perm()) }
