//go:build linux

package boot

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

type mount struct {
	source, target, fsType string
	flags                  uintptr
	data                   string
}

const noExec = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC

var kernelMounts = []mount{
	{"proc", "/proc", "proc", noExec, ""},
	{"sysfs", "/sys", "sysfs", noExec, ""},
	{"devtmpfs", "/dev", "devtmpfs", unix.MS_NOSUID, "mode=0755"},
	{"devpts", "/dev/pts", "devpts", unix.MS_NOSUID | unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"},
	{"tmpfs", "/dev/shm", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=1777,size=64m"},
	{"mqueue", "/dev/mqueue", "mqueue", noExec, ""},
	{"tmpfs", "/run", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=0755"},
	{"tmpfs", "/tmp", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=1777"},
	{"cgroup2", CgroupRoot, "cgroup2", noExec, "favordynmods"},
}

// CgroupRoot is where the one cgroup v2 tree is mounted.
const CgroupRoot = "/sys/fs/cgroup"

func mountKernelFileSystems() error {
	for _, m := range kernelMounts {
		if err := os.MkdirAll(m.target, 0o755); err != nil {
			return err
		}
		err := unix.Mount(m.source, m.target, m.fsType, m.flags, m.data)
		// The kernel may have mounted devtmpfs by itself.
		if err != nil && err != unix.EBUSY {
			return fmt.Errorf("mount %s on %s: %w", m.fsType, m.target, err)
		}
	}
	return nil
}

// linkDevices makes the links that programs expect in /dev; failure is harmless to the agent.
func linkDevices() {
	os.Symlink("/proc/self/fd", "/dev/fd")
	os.Symlink("/proc/self/fd/0", "/dev/stdin")
	os.Symlink("/proc/self/fd/1", "/dev/stdout")
	os.Symlink("/proc/self/fd/2", "/dev/stderr")
	os.Remove("/dev/ptmx")
	os.Symlink("pts/ptmx", "/dev/ptmx")
}

// enableControllers lets children of each cgroup use every controller the
// kernel has. The agent itself stays in the root cgroup, which may hold
// processes beside children.
func enableControllers(cgroups ...string) error {
	raw, err := os.ReadFile(CgroupRoot + "/cgroup.controllers")
	if err != nil {
		return err
	}
	for _, dir := range cgroups {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		for _, c := range strings.Fields(string(raw)) {
			// A controller that cannot be enabled (cpu with real-time tasks) must not cost the others.
			if err := os.WriteFile(dir+"/cgroup.subtree_control", []byte("+"+c), 0); err != nil {
				logf("enable cgroup controller %s in %s: %v", c, dir, err)
			}
		}
	}
	return nil
}

// preferAgent has whatever is not in a container run first: a container waits for
// the agent in any case, which streams its output, serves its shares and tells the
// host that it has started. Among each other containers have the weights they are given.
func preferAgent() {
	if err := os.WriteFile(PodCgroup+"/cpu.weight", []byte("1"), 0); err != nil {
		logf("prefer the agent to containers: %v", err)
	}
}

// hastenGracePeriods makes the kernel wait actively where it waits for its
// readers (RCU): making a container waits a dozen times, up to a timer tick
// each, on processors that have nothing better to do. favordynmods above does
// the same for moves between cgroups.
func hastenGracePeriods() {
	if err := os.WriteFile("/sys/kernel/rcu_expedited", []byte("1"), 0); err != nil {
		logf("hasten RCU: %v", err)
	}
}
