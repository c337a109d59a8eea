//go:build linux

// Gcsguest is the first process of a VM in which Microsoft's guest service for Linux
// runs unchanged. The service dials the host by vsock, as CID 2; with no transport to
// a host but the loopback loaded, the kernel takes that for this VM. Gcsguest accepts
// there and joins each connection with the one that the real host opens, to the same
// port, over Paddock's own channel.
package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

func main() {
	err := run()
	fmt.Println("gcsguest:", err)
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

func run() error {
	if err := mountAll(); err != nil {
		return err
	}
	if err := loadModules(); err != nil {
		return err
	}
	if err := makeRoot("/rootfs"); err != nil {
		return err
	}
	if err := joinPorts(); err != nil {
		return err
	}
	service, err := os.StartProcess("/bin/gcs", []string{"gcs", "-v4", "-disable-time-sync", "-loglevel", "debug"},
		&os.ProcAttr{Env: []string{"PATH=/bin"}, Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
	if err != nil {
		return err
	}
	return reapUntil(service.Pid)
}

// reapUntil waits for orphans until a process ends.
func reapUntil(pid int) error {
	for {
		var status unix.WaitStatus
		ended, err := unix.Wait4(-1, &status, 0, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("wait: %w", err)
		}
		if ended == pid {
			return fmt.Errorf("the guest service has ended: exit code %d, signal %d", status.ExitStatus(), status.Signal())
		}
	}
}

// mountAll mounts what the guest service expects: cgroups of version 1 among it.
func mountAll() error {
	type mount struct{ kind, target, data string }
	mounts := []mount{
		{"proc", "/proc", ""}, {"sysfs", "/sys", ""}, {"devtmpfs", "/dev", ""}, {"devpts", "/dev/pts", "newinstance,ptmxmode=0666"},
		{"tmpfs", "/run", ""}, {"tmpfs", "/tmp", ""}, {"tmpfs", "/sys/fs/cgroup", ""},
	}
	for _, c := range []string{"cpu", "cpuacct", "cpuset", "memory", "pids", "devices", "freezer", "blkio", "rdma"} {
		mounts = append(mounts, mount{"cgroup", "/sys/fs/cgroup/" + c, c})
	}
	for _, m := range mounts {
		if err := os.MkdirAll(m.target, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.kind, m.target, m.kind, 0, m.data); err != nil && err != unix.EBUSY {
			return fmt.Errorf("mount %s on %s: %w", m.kind, m.target, err)
		}
	}
	_ = os.Remove("/dev/ptmx")
	return os.Symlink("pts/ptmx", "/dev/ptmx")
}

// loadModules loads the image's, but for the transport to a host, and the loopback.
func loadModules() error {
	list, err := os.ReadFile("/etc/paddock/modules")
	if err != nil {
		return err
	}
	for path := range strings.FieldsSeq(string(list) + "\n/vsock_loopback.ko") {
		if strings.HasSuffix(path, "/vmw_vsock_virtio_transport.ko") {
			continue
		}
		if err := loadModule(path); err != nil {
			return fmt.Errorf("load %s: %w", path, err)
		}
	}
	return nil
}

func loadModule(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	err = unix.FinitModule(int(f.Fd()), "", 0)
	if err == unix.EEXIST || err == unix.ENODEV {
		return nil
	}
	return err
}

// makeRoot makes a container's root of busybox.
func makeRoot(root string) error {
	for _, dir := range []string{"bin", "proc", "sys", "dev", "etc", "tmp", "run"} {
		if err := os.MkdirAll(root+"/"+dir, 0o755); err != nil {
			return err
		}
	}
	for _, applet := range []string{"busybox", "sh", "cat", "sleep", "stty", "kill", "pidof", "mkdir", "test"} {
		if err := os.Link("/bin/busybox", root+"/bin/"+applet); err != nil {
			return err
		}
		if applet != "busybox" {
			if err := os.Symlink("busybox", "/bin/"+applet); err != nil && !os.IsExist(err) {
				return err
			}
		}
	}
	return nil
}
