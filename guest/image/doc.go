// Package image builds what a utility VM boots: a kernel and an initrd.
//
// Inputs are a Debian package (the cloud kernel, which carries both the virtio
// and the Hyper-V drivers), crun (Debian's source, built by hack/crun.sh) and Paddock's
// own agent. The package is downloaded and unpacked, never installed. The same
// inputs give the same bytes: the archive is sorted, times and owners are
// zero, inode numbers count up, and compression runs on one thread.
//
//	package (apt)        ──▶ files ──┬─▶ vmlinuz, vmlinux (the ELF inside it, for PVH boot)
//	paddock-agent, crun  ────────────┴─▶ initrd.img (cpio, zstd) ──▶ manifest.json
//
// BuildWine makes a third thing, for VMs of Windows pods on Linux hosts: a
// read-only ext4 disk with Wine (guest/wine.go says how it is laid out), from
// Debian's packages and cmd/paddock-wininit. Wine itself is run once, in a root
// of its own, to fill its registry, of which what programs without windows need
// is kept, without its times; disks are cached by their inputs. That two builds
// from the same inputs give the same bytes is not tested for this disk.
//
// In the initrd:
//
//	/init                       the agent
//	/usr/bin/crun               the OCI runtime
//	/usr/sbin/modprobe          a link to the agent, which the kernel calls to load a module on demand
//	/lib/modules/<release>/...  the modules of modules.go and what they depend on
//	/etc/paddock/modules        paths to load at boot, in order
//	                            (of those that lack their hardware, loading fails with ENODEV: no error)
//	/etc/paddock/modules.hyperv paths to load instead of those under Hyper-V
//	/etc/paddock/modules.dep    "path: path path": what each module needs loaded before it, in order
//	/etc/paddock/modules.alias  "pattern path": aliases (shell patterns) and names by which the kernel asks
package image
