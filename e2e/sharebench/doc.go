// Package sharebench measures a pod's shared folder beside those of QEMU's own
// ways to share one: virtio-9p and virtiofs, each in a VM of the same QEMU,
// processor and number of them, with Debian's generic kernel (the pod's has no 9P).
//
// All run the same programs from the same layers, in turns, on the same folder of the host.
package sharebench
