//go:build linux

package fusepump

import "syscall"

// unforked keeps this process from starting another until its result is called:
// for as long as it has a file of a share open. A child closes such a file before
// its parent runs on (vfork(2)), and closing it waits for an answer that this process carries.
func unforked() (done func()) {
	syscall.ForkLock.RLock()
	return syscall.ForkLock.RUnlock
}
