package tests

import (
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// emptyDir makes a folder where kubelet, whose root is dir, has it for the test's pod.
func emptyDir(t *testing.T, dir, name string, mode uint32) string {
	t.Helper()
	path := filepath.Join(dir, "pods", "uid-"+strings.ToLower(t.Name()), "volumes", "kubernetes.io~empty-dir", name)
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestEmptyDir shares emptyDirs between two containers: one on the scratch disk, one
// with a limit, one in memory with kubelet's size; what others have at such paths is an ordinary folder.
func TestEmptyDir(t *testing.T) {
	root := hostDir(t, nil)
	dir, limited, memory := emptyDir(t, root, "cache", 0o777), emptyDir(t, root, "limited", 0o2770), emptyDir(t, root, "memory", 0o777)
	if err := syscall.Mount("tmpfs", memory, "tmpfs", 0, "size=8m,mode=0777"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(memory, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	foreign := filepath.Join(root, "pods", "another", "volumes", "kubernetes.io~empty-dir", "cache")
	writeFile(t, filepath.Join(foreign, "f"), "of another\n")
	p := runPod(t, func(cfg *runtimeapi.PodSandboxConfig) {
		cfg.Annotations = map[string]string{"paddock.run/empty-dir-size-limits": "limited=16Mi"}
	})
	with := func(cfg *runtimeapi.ContainerConfig) {
		cfg.Mounts = []*runtimeapi.Mount{mount(dir, "/cache", false), mount(limited, "/limited", false),
			mount(memory, "/memory", false), mount(foreign, "/foreign", false)}
	}
	one := p.run("one", "exec sleep 1000", with)
	two := p.run("two", "exec sleep 1000", with)
	for _, d := range []string{"/cache", "/limited", "/memory"} {
		one.exec("echo shared > " + d + "/file")
		if got := two.exec("ls -A " + d + "; cat " + d + "/file"); got != "file\nshared" {
			t.Errorf("the other container reads %q in %s", got, d)
		}
	}
	if got := two.exec("stat -c %a /cache /limited /memory; cat /foreign/f"); got != "777\n2770\n777\nof another" {
		t.Errorf("modes and another pod's folder: %q", got)
	}
	for d, most := range map[string]int{"/limited": 16, "/memory": 8} {
		resp := one.execSync("dd if=/dev/zero of=" + d + "/big bs=1M count=64; du -m " + d + "/big | cut -f1")
		size := 0
		if _, err := fmt.Sscan(string(resp.GetStdout()), &size); err != nil || size > most || size < most/2 ||
			!strings.Contains(string(resp.GetStderr()), "No space left on device") {
			t.Errorf("%s took %d MB (%v): %s", d, size, err, resp.GetStderr())
		}
	}
	// What kubelet's du sees of the emptyDir with a limit.
	one.exec("sync")
	if mb := diskUse(t, limited); mb < 8 || mb > 17 {
		t.Errorf("the host sees %d MB in use", mb)
	}
	one.exec("rm /limited/big /memory/big; sync")
	eventually(t, "space that was given back", func() bool { return diskUse(t, limited) < 8 })
}

// diskUse is what du says, in megabytes.
func diskUse(t *testing.T, dir string) (mb int) {
	t.Helper()
	out, err := exec.Command("du", "-sm", dir).Output()
	if err == nil {
		_, err = fmt.Sscan(string(out), &mb)
	}
	if err != nil {
		t.Fatal(err)
	}
	return mb
}

// TestDiskVolumes gives a pod a raw block volume, and a persistent volume that its
// driver has marked as a disk. Both keep what was written.
func TestDiskVolumes(t *testing.T) {
	dir := hostDir(t, nil)
	raw, disk, volume := filepath.Join(dir, "raw"), filepath.Join(dir, "disk"), filepath.Join(dir, "pvc", "mount")
	for _, path := range []string{raw, disk} {
		tool(t, "truncate", "-s", "32M", path)
	}
	tool(t, "mkfs.ext4", "-q", "-F", disk)
	if err := os.MkdirAll(volume, 0o755); err != nil {
		t.Fatal(err)
	}
	device := tool(t, "losetup", "--find", "--show", raw)
	t.Cleanup(func() { tool(t, "losetup", "--detach", device) })
	marks := filepath.Join("/run/paddock/direct-volumes", base64.URLEncoding.EncodeToString([]byte(volume)))
	writeFile(t, filepath.Join(marks, "mountInfo.json"), fmt.Sprintf(`{"volume-type":"block","device":%q,"fstype":"ext4"}`, disk))
	t.Cleanup(func() {
		os.RemoveAll(marks)
		os.Remove(filepath.Dir(marks))
		os.Remove("/run/paddock") // unless a Paddock of this machine has something there
	})

	p := runPod(t, nil)
	c := p.run("main", "exec sleep 1000", func(cfg *runtimeapi.ContainerConfig) {
		cfg.Mounts = []*runtimeapi.Mount{mount(volume, "/pv", false)}
		cfg.Devices = []*runtimeapi.Device{{HostPath: device, ContainerPath: "/dev/block", Permissions: "mrw"}}
	})
	c.exec("echo on the disk > /pv/file && echo on the device | dd of=/dev/block bs=4096 conv=sync && sync")
	if got := c.exec("test -b /dev/block && stat -f -c %T /pv"); !strings.HasPrefix(got, "ext") {
		t.Errorf("the volume's file system is %q", got)
	}
	readOnly := p.run("reader", "exec sleep 1000", func(cfg *runtimeapi.ContainerConfig) {
		cfg.Mounts = []*runtimeapi.Mount{mount(volume, "/pv", true)}
	})
	if got := readOnly.exec("cat /pv/file"); got != "on the disk" {
		t.Errorf("another container reads %q", got)
	}
	if resp := readOnly.execSync("echo x > /pv/file"); !strings.Contains(string(resp.GetStderr()), "Read-only file system") {
		t.Errorf("writing to a read-only mount: %s", resp.GetStderr())
	}
	crictlOut(t, "rmp", "-f", p.id)
	if got := tool(t, "debugfs", "-R", "cat /file", disk); got != "on the disk" {
		t.Errorf("the disk holds %q", got)
	}
	if got := tool(t, "head", "-c", "13", device); got != "on the device" {
		t.Errorf("the device holds %q", got)
	}

	// What the node has mounted must not be written to by a second kernel.
	tool(t, "mkfs.ext4", "-q", "-F", device)
	mountPoint := filepath.Join(dir, "mounted")
	if err := os.Mkdir(mountPoint, 0o755); err != nil {
		t.Fatal(err)
	}
	tool(t, "mount", device, mountPoint)
	defer tool(t, "umount", mountPoint)
	again := runPod(t, func(cfg *runtimeapi.PodSandboxConfig) { cfg.Metadata.Name, cfg.Metadata.Uid = "again", "again" })
	cfg := shell("main", "true")
	cfg.Devices = []*runtimeapi.Device{{HostPath: device, ContainerPath: "/dev/block", Permissions: "r"}}
	if err := crictlErr(t, "create", again.id, writeMessage(t, cfg), again.file); !strings.Contains(err.Error(), "unmount it there first") {
		t.Errorf("a device that is mounted: %v", err)
	}
}

// tool runs a program of the host and returns its stdout, without the last line's end.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, stderr.String())
	}
	return strings.TrimRight(string(out), "\n")
}
