// Package tests drives the real daemon over its socket with crictl: real
// images from a real registry, in real VMs. It needs root, QEMU and what
// `make deps build guest` makes. One daemon serves all tests; at the end
// nothing of it may be left on the machine.
package tests
