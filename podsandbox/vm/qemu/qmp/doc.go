// Package qmp is a client of the QEMU Machine Protocol: one connection to one
// QEMU, commands with contexts, events, and file descriptors sent along.
package qmp
