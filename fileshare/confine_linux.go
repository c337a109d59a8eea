package fileshare

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"
)

// confinedFDDir is the server's own descriptor directory in its empty root.
const confinedFDDir = "/fd"

// keptCapabilities are what a server needs to act as root on a tree of files.
var keptCapabilities = []uint{
	unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_DAC_READ_SEARCH, unix.CAP_FOWNER, unix.CAP_FSETID,
	unix.CAP_MKNOD, unix.CAP_SETUID, unix.CAP_SETGID, unix.CAP_SETFCAP,
}

// confine takes away from the process what it does not need: every path of the
// host, capabilities, privileges by exec, and system calls. mountPoint is any
// directory. The process must have a mount namespace of its own.
func confine(mountPoint string) error {
	unix.Umask(0)
	if err := ownMountNamespace(); err != nil {
		return err
	}
	if err := emptyRoot(mountPoint); err != nil {
		return err
	}
	if err := dropPrivileges(); err != nil {
		return err
	}
	return installSeccomp()
}

func ownMountNamespace() error {
	mine, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		return err
	}
	if theirs, err := os.Readlink("/proc/1/ns/mnt"); err == nil && theirs == mine {
		return errors.New("not in a mount namespace of its own: the daemon starts this process")
	}
	return nil
}

// emptyRoot makes the root a read-only tmpfs with nothing in it but the
// process's descriptors. They are bound as a mount's root, so that ".." of
// them does not lead to /proc.
func emptyRoot(mountPoint string) error {
	steps := []struct {
		what string
		do   func() error
	}{
		{"make mounts private", func() error { return unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") }},
		{"mount an empty root", func() error {
			return unix.Mount("none", mountPoint, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "size=64k,nr_inodes=8,mode=0500")
		}},
		{"make the descriptor directory", func() error { return unix.Mkdir(mountPoint+confinedFDDir, 0o500) }},
		{"bind the descriptor directory", func() error {
			return unix.Mount("/proc/self/fd", mountPoint+confinedFDDir, "", unix.MS_BIND, "")
		}},
		{"make the root read-only", func() error {
			return unix.Mount("", mountPoint, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
		}},
		{"enter it", func() error { return unix.Chdir(mountPoint) }},
		{"pivot to it", func() error { return unix.PivotRoot(".", ".") }},
		{"leave the host's root", func() error { return unix.Unmount(".", unix.MNT_DETACH) }},
		{"enter the root", func() error { return unix.Chdir("/") }},
	}
	for _, s := range steps {
		if err := s.do(); err != nil {
			return fmt.Errorf("%s: %w", s.what, err)
		}
	}
	return nil
}

// dropPrivileges cuts the capabilities of every thread.
func dropPrivileges() error {
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		_, _, errno := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, c, 0)
		if errno == syscall.ENOTSUP {
			klog.InfoS("Built with cgo: the share server keeps its capabilities. Build with CGO_ENABLED=0")
			return nil
		}
		if errno != 0 && errno != syscall.EINVAL { // EINVAL: an older kernel without it
			return fmt.Errorf("drop capability %d from the bounding set: %w", c, errno)
		}
	}
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	for _, c := range keptCapabilities {
		caps[c/32].Effective |= 1 << (c % 32)
		caps[c/32].Permitted |= 1 << (c % 32)
	}
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&hdr)), uintptr(unsafe.Pointer(&caps)), 0)
	runtime.KeepAlive(&caps)
	if errno != 0 {
		return fmt.Errorf("cut capabilities: %w", errno)
	}
	return nil
}
