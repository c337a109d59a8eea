package tests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// bidirectional configures a privileged container whose mounts in /out may reach the node.
func bidirectional(dir string) func(*runtimeapi.ContainerConfig) {
	return func(cfg *runtimeapi.ContainerConfig) {
		cfg.Linux = &runtimeapi.LinuxContainerConfig{SecurityContext: &runtimeapi.LinuxContainerSecurityContext{Privileged: true}}
		m := mount(dir, "/out", false)
		m.Propagation = runtimeapi.MountPropagation_PROPAGATION_BIDIRECTIONAL
		cfg.Mounts = []*runtimeapi.Mount{m}
	}
}

func forPrivileged(cfg *runtimeapi.PodSandboxConfig) {
	cfg.Linux = &runtimeapi.LinuxPodSandboxConfig{SecurityContext: &runtimeapi.LinuxSandboxSecurityContext{Privileged: true}}
}

func readHost(t *testing.T, path, want string) {
	t.Helper()
	if b, err := os.ReadFile(path); err != nil || string(b) != want {
		t.Errorf("the node reads %q of %s (%v), want %q", b, path, err, want)
	}
}

// TestMountReachesTheNode is what CSI drivers and file system sidecars do.
func TestMountReachesTheNode(t *testing.T) {
	dir := hostDir(t, map[string]string{"src/f": "of the host\n", "plain/under": ""})
	for _, d := range []string{"tmp", "bind", "root"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	p := runPod(t, forPrivileged)
	c := p.run("driver", "exec sleep 1000", bidirectional(dir))

	// A file system of the guest's, one mounted in it, a part of the volume, and the image's files.
	c.exec("mount -t tmpfs none /out/tmp && echo tmpfs > /out/tmp/f && mkdir /out/tmp/sub")
	readHost(t, filepath.Join(dir, "tmp/f"), "tmpfs\n")
	c.exec("mount -t tmpfs none /out/tmp/sub && echo deeper > /out/tmp/sub/f")
	readHost(t, filepath.Join(dir, "tmp/sub/f"), "deeper\n")
	c.exec("mount --bind /out/src /out/bind")
	readHost(t, filepath.Join(dir, "bind/f"), "of the host\n")
	// What the node has open must not keep the guest from starting processes.
	open, err := os.OpenFile(filepath.Join(dir, "bind/f"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	c.exec("mount --bind /etc /out/root")
	if err := open.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "root/passwd")); err != nil {
		t.Error(err)
	}
	writeFile(t, filepath.Join(dir, "bind/new"), "through the bind\n")
	readHost(t, filepath.Join(dir, "src/new"), "through the bind\n")
	writeFile(t, filepath.Join(dir, "tmp/new"), "to the guest\n")
	if got := c.exec("cat /out/tmp/new"); got != "to the guest" {
		t.Errorf("the container reads %q", got)
	}
	// The container's own mounts must outlast its kernel's caches of the volume.
	if got := c.exec("sleep 2; ls /out/tmp /out/plain; cat /out/tmp/sub/f"); !strings.Contains(got, "deeper") {
		t.Errorf("the container's mounts: %q", got)
	}

	if err := env.daemon.Kill(); err != nil {
		t.Fatal(err)
	}
	readHost(t, filepath.Join(dir, "tmp/f"), "tmpfs\n") // no daemon is needed for it
	restart(t)
	readHost(t, filepath.Join(dir, "tmp/sub/f"), "deeper\n")
	c.exec("umount /out/tmp/sub && umount /out/tmp && umount /out/bind")
	for _, gone := range []string{"tmp/f", "bind/f"} {
		if _, err := os.Lstat(filepath.Join(dir, gone)); !os.IsNotExist(err) {
			t.Errorf("%s is still there: %v", gone, err)
		}
	}
	readHost(t, filepath.Join(dir, "src/f"), "of the host\n")

	// What the container does by itself comes, too, and goes with the pod.
	p.run("sidecar", "mount -t tmpfs none /out/plain && echo late > /out/plain/f && exec sleep 1000", bidirectional(dir))
	eventually(t, "the sidecar's mount is on the node", func() bool {
		b, _ := os.ReadFile(filepath.Join(dir, "plain/f"))
		return string(b) == "late\n"
	})
	crictlOut(t, "stopp", p.id)
	readHost(t, filepath.Join(dir, "plain/under"), "")
	if _, err := os.Stat(filepath.Join(dir, "root/passwd")); !os.IsNotExist(err) {
		t.Errorf("a mount outlives the pod: %v", err)
	}
}

// TestMountStaysInThePod: without a privileged container and a bidirectional mount nothing reaches the node.
func TestMountStaysInThePod(t *testing.T) {
	dir := hostDir(t, map[string]string{"at/under": ""})
	p := runPod(t, forPrivileged)
	cfg := shell("unprivileged", "exec sleep 1000")
	bidirectional(dir)(cfg)
	cfg.Linux = nil
	ensureImage(t, cfg.GetImage().GetImage())
	if err := crictlErr(t, "create", p.id, writeMessage(t, cfg), p.file); !strings.Contains(err.Error(), "needs a privileged container") {
		t.Errorf("error %v", err)
	}
	c := p.run("slave", "exec sleep 1000", func(cfg *runtimeapi.ContainerConfig) {
		bidirectional(dir)(cfg)
		cfg.Mounts[0].Propagation = runtimeapi.MountPropagation_PROPAGATION_HOST_TO_CONTAINER
	})
	c.exec("mount -t tmpfs none /out/at")
	readHost(t, filepath.Join(dir, "at/under"), "")
}
