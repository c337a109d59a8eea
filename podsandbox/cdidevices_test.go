package podsandbox

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/paddock-run/paddock/podsandbox/cdi"
)

// TestCDIDevices lets a device replace what the container has of its own.
func TestCDIDevices(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("devices of CDI are those of Linux hosts")
	}
	w := newWorld(t)
	dir, own, vendor := t.TempDir(), t.TempDir(), t.TempDir()
	spec := `{"cdiVersion": "0.7.0", "kind": "v.test/x", "devices": [
		{"name": "good", "containerEdits": {"env": ["K=device"], "additionalGids": [44],
			"mounts": [{"hostPath": "` + vendor + `", "containerPath": "/lib/v/", "options": ["ro"]}],
			"deviceNodes": [{"path": "/dev/fuse", "permissions": "none"}]}},
		{"name": "bad", "containerEdits": {"deviceNodes": [{"path": "/dev/v0"}]}}]}`
	if err := os.WriteFile(filepath.Join(dir, "v.json"), []byte(spec), 0o600); err != nil {
		t.Fatal(err)
	}
	w.cdiDirs = []string{dir}
	w.restart()
	pod := w.run("a")
	cfg := containerConfig("c")
	cfg.Env = []EnvVar{{"K", "own"}}
	cfg.Mounts = []Mount{{ContainerPath: "/lib/v", HostPath: own}}
	cfg.Devices = []Device{{ContainerPath: "/dev/fuse", HostPath: "/dev/fuse", Permissions: "rwm"}}
	cfg.CDIDevices = []string{"v.test/x=bad"}
	if _, err := w.m.CreateContainer(t.Context(), pod, cfg); !errors.Is(err, cdi.ErrUnavailable) || !strings.Contains(err.Error(), "/dev/v0") {
		t.Fatalf("a device of the node: %v", err)
	}
	cfg.CDIDevices, cfg.Annotations = nil, map[string]string{"cdi.k8s.io/plugin": "v.test/x=good"}
	id, err := w.m.CreateContainer(t.Context(), pod, cfg)
	if err != nil {
		t.Fatal(err)
	}
	request := w.agent(pod).Container(id).Request
	var made specs.Spec
	if err := json.Unmarshal(request.Spec, &made); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(made.Process.Env, "K=device") || slices.Contains(made.Process.Env, "K=own") {
		t.Errorf("env %v", made.Process.Env)
	}
	if d := made.Linux.Devices; len(d) != 1 || d[0].Path != "/dev/fuse" || d[0].UID != nil {
		t.Errorf("devices %v", d)
	}
	for _, rule := range made.Linux.Resources.Devices {
		if rule.Minor != nil && *rule.Minor == 229 {
			t.Errorf("the container may use the device: %v", rule)
		}
	}
	if g := request.User.SupplementalGroups; !slices.Equal(g, []uint32{44}) {
		t.Errorf("groups %v", g)
	}
	n := 0
	for _, m := range request.Mounts {
		if m.Destination == "/lib/v" {
			n++
			if !m.ReadOnly {
				t.Errorf("mount %v", m)
			}
		}
	}
	if n != 1 {
		t.Errorf("%d mounts at /lib/v", n)
	}
	if st, _ := w.m.Container(id); len(st.Config.Mounts) != 1 || st.Config.Mounts[0].HostPath != own {
		t.Errorf("the status tells of %v, which is not what was asked for", st.Config.Mounts)
	}
	if err := w.m.RemoveSandbox(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	w.nothingLeft()
}
