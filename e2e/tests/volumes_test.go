package tests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// hostDir is a folder of the host's for a test, with files in it.
func hostDir(t *testing.T, files map[string]string) string {
	t.Helper()
	dir, err := os.MkdirTemp(env.root, "volume-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		writeFile(t, filepath.Join(dir, name), content)
	}
	return dir
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func mount(host, inside string, readOnly bool) *runtimeapi.Mount {
	return &runtimeapi.Mount{HostPath: host, ContainerPath: inside, Readonly: readOnly}
}

// TestHostDir writes on one side and reads on the other.
func TestHostDir(t *testing.T) {
	dir := hostDir(t, map[string]string{"from-host": "hello\n"})
	ro := hostDir(t, map[string]string{"fixed": "fixed\n"})
	p := runPod(t, nil)
	c := p.run("main", "exec sleep 1000", func(cfg *runtimeapi.ContainerConfig) {
		cfg.Mounts = []*runtimeapi.Mount{mount(dir, "/data", false), mount(ro, "/fixed", true)}
	})
	if got := c.exec("cat /data/from-host /fixed/fixed"); got != "hello\nfixed" {
		t.Errorf("read %q", got)
	}
	c.exec("mkdir /data/sub && echo from pod > /data/sub/file && ln /data/sub/file /data/hard && ln -s sub/file /data/soft && chown 1000:2000 /data/hard && sync")
	b, err := os.ReadFile(filepath.Join(dir, "soft"))
	if err != nil || string(b) != "from pod\n" {
		t.Errorf("host reads %q, %v", b, err)
	}
	if got := c.exec("stat -c '%h %u:%g' /data/sub/file"); got != "2 1000:2000" {
		t.Errorf("links and owner: %q", got)
	}
	if resp := c.execSync("echo x > /fixed/new"); !strings.Contains(string(resp.GetStderr()), "Read-only file system") {
		t.Errorf("writing to a read-only mount: exit code %d, %s", resp.GetExitCode(), resp.GetStderr())
	}
	writeFile(t, filepath.Join(dir, "later"), "later\n")
	eventually(t, "what the host adds is seen", func() bool { return c.execSync("cat /data/later").GetExitCode() == 0 })
}

// TestSingleFile mounts files alone, as kubelet does with /etc/hosts and the termination log.
func TestSingleFile(t *testing.T) {
	dir := hostDir(t, map[string]string{"hosts": "127.0.0.1 localhost from-kubelet\n", "termination": "", "secret": "not for the pod"})
	p := runPod(t, nil)
	c := p.run("main", "exec sleep 1000", func(cfg *runtimeapi.ContainerConfig) {
		cfg.Mounts = []*runtimeapi.Mount{
			mount(filepath.Join(dir, "hosts"), "/etc/hosts", false),
			mount(filepath.Join(dir, "termination"), "/dev/termination-log", false),
		}
	})
	if got := c.exec("cat /etc/hosts"); !strings.Contains(got, "from-kubelet") {
		t.Errorf("/etc/hosts: %q", got)
	}
	c.exec("echo reason > /dev/termination-log && sync")
	b, err := os.ReadFile(filepath.Join(dir, "termination"))
	if err != nil || string(b) != "reason\n" {
		t.Errorf("termination log on the host: %q, %v", b, err)
	}
}

// TestProjectedVolume swaps ..data, as kubelet updates secrets and configMaps.
func TestProjectedVolume(t *testing.T) {
	dir := hostDir(t, map[string]string{"..1/token": "first\n"})
	for link, target := range map[string]string{"..data": "..1", "token": "..data/token"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	p := runPod(t, nil)
	c := p.run("main", "exec sleep 1000", func(cfg *runtimeapi.ContainerConfig) {
		cfg.Mounts = []*runtimeapi.Mount{mount(dir, "/var/run/secrets", true)}
	})
	if got := c.exec("cat /var/run/secrets/token"); got != "first" {
		t.Errorf("token %q", got)
	}
	writeFile(t, filepath.Join(dir, "..2/token"), "second\n")
	if err := os.Symlink("..2", filepath.Join(dir, "..data_tmp")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "..1")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new token is seen", func() bool {
		return string(c.execSync("cat /var/run/secrets/token").GetStdout()) == "second\n"
	})
}
