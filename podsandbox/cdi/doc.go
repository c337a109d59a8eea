// Package cdi resolves devices of the Container Device Interface to what a
// container in a VM can be given of them.
//
// A CDI spec edits containers that run on the node's kernel. Of its edits are
// given: environment variables, additional groups, mounts of files and folders
// (shared with the guest as any host path is), and device nodes that the guest
// has under the same path. What needs the node's kernel is refused, and named:
// the node's devices, hooks, network interfaces, RDT classes. Nothing is left
// out silently: a container either gets its device or is not made.
//
// The format: https://github.com/cncf-tags/container-device-interface/blob/main/SPEC.md
package cdi
