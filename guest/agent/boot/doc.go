// Package boot brings a utility VM from its kernel's first process to a
// machine that can run containers: a root that pivot_root accepts, the kernel
// file systems, one cgroup v2 tree and the modules the image names.
package boot
