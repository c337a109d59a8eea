package tests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// cdiSpec installs a spec of CDI devices for a test.
func cdiSpec(t *testing.T, text string) (file string) {
	t.Helper()
	file = filepath.Join(env.cdiDir(), "vendor.yaml")
	writeFile(t, file, text)
	t.Cleanup(func() { os.RemoveAll(env.cdiDir()) })
	return file
}

// TestCDIDevices gives a container all that a device in a VM can have.
func TestCDIDevices(t *testing.T) {
	lib := hostDir(t, map[string]string{"libvendor.so": "library\n"})
	cdiSpec(t, `
cdiVersion: 0.7.0
kind: vendor.test/fs
containerEdits:
  env: [VENDOR_LIB=/opt/vendor]
  mounts: [{hostPath: `+lib+`, containerPath: /opt/vendor, options: [ro, rbind]}]
devices:
- name: fuse
  containerEdits:
    additionalGids: [4444]
    deviceNodes: [{path: /dev/vendor-fuse, hostPath: /dev/fuse, type: c, fileMode: 0600, permissions: rw}]
- name: locked
  containerEdits:
    env: [LOCKED=yes]
    deviceNodes: [{path: /dev/locked, hostPath: /dev/loop-control, fileMode: 0666, permissions: none}]
`)
	p := runPod(t, nil)
	c := p.run("main", "exec sleep 1000", func(cfg *runtimeapi.ContainerConfig) {
		cfg.CDIDevices = []*runtimeapi.CDIDevice{{Name: "vendor.test/fs=fuse"}}
		cfg.Annotations = map[string]string{"cdi.k8s.io/vendor": "vendor.test/fs=locked"}
		cfg.Linux.SecurityContext.RunAsUser = &runtimeapi.Int64Value{Value: 1000}
	})
	for script, want := range map[string]string{
		"echo $VENDOR_LIB $LOCKED":                 "/opt/vendor yes",
		"cat $VENDOR_LIB/libvendor.so":             "library",
		"stat -c '%t:%T %a %u' /dev/vendor-fuse":   "a:e5 600 1000",
		"id -G | tr ' ' '\n' | grep -x 4444":       "4444",
		": < /dev/vendor-fuse && echo can open it": "can open it",
	} {
		if got := c.exec(script); got != want {
			t.Errorf("%s: %q, want %q", script, got, want)
		}
	}
	for script, want := range map[string]string{
		"touch /opt/vendor/x": "Read-only file system",
		": < /dev/locked":     "not permitted",
	} {
		if resp := c.execSync(script); resp.GetExitCode() == 0 || !strings.Contains(string(resp.GetStderr()), want) {
			t.Errorf("%s: exit code %d, %s; want %s", script, resp.GetExitCode(), resp.GetStderr(), want)
		}
	}
	st := c.status()
	if groups := st.GetUser().GetLinux().GetSupplementalGroups(); len(groups) == 0 || groups[len(groups)-1] != 4444 {
		t.Errorf("status tells of groups %v", groups)
	}
	if len(st.GetMounts()) != 0 {
		t.Errorf("status tells of mounts %v, which were not asked for", st.GetMounts())
	}
}

// TestCDIRefused asks for what only the node's kernel has.
func TestCDIRefused(t *testing.T) {
	file := cdiSpec(t, `
cdiVersion: 1.1.0
kind: vendor.test/gpu
devices:
- {name: node, containerEdits: {deviceNodes: [{path: /dev/gpu0, type: c, major: 195, minor: 0}]}}
- {name: hook, containerEdits: {hooks: [{hookName: createContainer, path: /usr/bin/gpu-hook}]}}
- {name: net, containerEdits: {netDevices: [{hostInterfaceName: eth9, name: eth1}]}}
`)
	ensureImage(t, busybox)
	p := runPod(t, nil)
	for _, c := range []struct {
		device string
		code   codes.Code
		parts  []string
	}{
		{"vendor.test/gpu=node", codes.FailedPrecondition, []string{"vendor.test/gpu=node", file, "/dev/gpu0"}},
		{"vendor.test/gpu=hook", codes.FailedPrecondition, []string{"vendor.test/gpu=hook", file, "/usr/bin/gpu-hook"}},
		{"vendor.test/gpu=net", codes.FailedPrecondition, []string{"vendor.test/gpu=net", file, "eth9"}},
		{"vendor.test/gpu=7", codes.FailedPrecondition, []string{"unresolvable CDI devices vendor.test/gpu=7", env.cdiDir()}},
		{"gpu0", codes.InvalidArgument, []string{"gpu0", "vendor/class=name"}},
	} {
		cfg := shell("main", "exec sleep 1000")
		cfg.CDIDevices = []*runtimeapi.CDIDevice{{Name: c.device}}
		_, err := env.client.Runtime.CreateContainer(t.Context(), &runtimeapi.CreateContainerRequest{PodSandboxId: p.id, Config: cfg, SandboxConfig: p.config})
		if status.Code(err) != c.code {
			t.Errorf("%s: %v, want code %v", c.device, err, c.code)
		}
		for _, part := range c.parts {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%s: error %v does not name %q", c.device, err, part)
			}
		}
	}
	if left := crictlOut(t, "ps", "-aq", "--pod", p.id); left != "" {
		t.Errorf("containers left: %s", left)
	}
}
