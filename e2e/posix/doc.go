// Package posix runs suites of file system tests that others wrote in a pod, on
// a shared folder of the host's and, beside it, on the ext4 of the pod's own
// disk, and compares the results case by case.
package posix
