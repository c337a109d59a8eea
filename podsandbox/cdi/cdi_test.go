package cdi

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/paddock-run/paddock/podsandbox/ocispec"
)

// writeSpec writes a spec of vendor.test/dev with a device "d"; edits are YAML in braces.
func writeSpec(t *testing.T, dir, file, common, device string) {
	t.Helper()
	text := "cdiVersion: 1.1.0\nkind: vendor.test/dev\ncontainerEdits: " + common +
		"\ndevices:\n- name: d\n  containerEdits: " + device + "\n"
	if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestEdits(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("devices of CDI are those of Linux hosts")
	}
	host := t.TempDir()
	null := filepath.Join(host, "null")
	if err := os.Symlink("/dev/null", null); err != nil {
		t.Fatal(err)
	}
	mode, owner := os.FileMode(0o660), uint32(7)
	for _, c := range []struct {
		name, common, device string
		want                 *Edits
		refused              string // part of the error
	}{
		{name: "env and groups", common: "{env: [A=1]}", device: "{env: [B=2], additionalGids: [5, 0, 6]}",
			want: &Edits{Env: []string{"A=1", "B=2"}, Groups: []uint32{5, 6}}},
		{name: "mounts", common: "{}", device: "{mounts: [{hostPath: HOST, containerPath: /lib/v, options: [ro, rbind, nosuid, rslave]}, {hostPath: HOST, containerPath: /rro, type: bind, options: [rro]}]}",
			want: &Edits{Mounts: []Mount{
				{HostPath: host, ContainerPath: "/lib/v", ReadOnly: true, FollowHost: true, Options: []string{"nosuid"}},
				{HostPath: host, ContainerPath: "/rro", ReadOnly: true, RecursiveReadOnly: true},
			}}},
		{name: "devices of the guest", common: "{deviceNodes: [{path: /dev/fuse}]}", device: "{deviceNodes: [{path: /dev/tun, hostPath: /dev/net/tun, type: c, major: 10, minor: 200, permissions: rw, fileMode: 0660, uid: 7}]}",
			want: &Edits{Devices: []ocispec.Device{
				{ContainerPath: "/dev/fuse", GuestPath: "/dev/fuse", UserOwned: true},
				{ContainerPath: "/dev/tun", GuestPath: "/dev/net/tun", Permissions: "rw", FileMode: &mode, UID: &owner, UserOwned: true},
			}}},
		{name: "unbuffered", common: "{}", device: "{deviceNodes: [{path: /dev/fuse, type: u}]}",
			want: &Edits{Devices: []ocispec.Device{{ContainerPath: "/dev/fuse", GuestPath: "/dev/fuse", UserOwned: true}}}},

		{name: "device of the node", common: "{}", device: "{deviceNodes: [{path: /dev/vendor0}]}", refused: "/dev/vendor0 is a device of the node"},
		{name: "device of the node in disguise", common: "{}", device: "{deviceNodes: [{path: /dev/fuse, hostPath: /dev/vendor0}]}", refused: "/dev/vendor0 is a device of the node"},
		{name: "device in the common part", common: "{deviceNodes: [{path: /dev/ctl}]}", device: "{env: [A=1]}", refused: "/dev/ctl"},
		{name: "other numbers", common: "{}", device: "{deviceNodes: [{path: /dev/fuse, type: c, major: 1, minor: 5}]}", refused: "1:5, and 10:229"},
		{name: "other type", common: "{}", device: "{deviceNodes: [{path: /dev/fuse, type: b}]}", refused: `type is "b"`},
		{name: "relative device", common: "{}", device: "{deviceNodes: [{path: dev/fuse, hostPath: /dev/fuse}]}", refused: "not absolute"},
		{name: "hook", common: "{hooks: [{hookName: createContainer, path: /usr/bin/vendor-hook}]}", device: "{env: [A=1]}", refused: "/usr/bin/vendor-hook"},
		{name: "network interface", common: "{}", device: "{netDevices: [{hostInterfaceName: eth7, name: net1}]}", refused: "eth7"},
		{name: "RDT", common: "{}", device: "{intelRdt: {closID: gold}}", refused: "RDT"},
		{name: "missing host path", common: "{}", device: "{mounts: [{hostPath: HOST/no, containerPath: /x}]}", refused: "no such file"},
		{name: "device as a mount", common: "{}", device: "{mounts: [{hostPath: HOST/null, containerPath: /dev/x}]}", refused: "neither a file nor a folder"},
		{name: "tmpfs", common: "{}", device: "{mounts: [{hostPath: tmpfs, containerPath: /x, type: tmpfs}]}", refused: `type "tmpfs"`},
		{name: "mount option", common: "{}", device: "{mounts: [{hostPath: HOST, containerPath: /x, options: [rshared]}]}", refused: `option "rshared"`},
		{name: "mount of the root", common: "{}", device: "{mounts: [{hostPath: HOST, containerPath: /x/..}]}", refused: "is the root"},
		{name: "relative host path", common: "{}", device: "{mounts: [{hostPath: x, containerPath: /x}]}", refused: "not absolute"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			writeSpec(t, dir, "v.yaml", c.common, strings.ReplaceAll(c.device, "HOST", host))
			got, err := New([]string{dir}).Resolve([]string{"vendor.test/dev=d"})
			if c.refused == "" {
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Error(diff)
				}
				return
			}
			if !errors.Is(err, ErrUnavailable) {
				t.Fatalf("error %v", err)
			}
			for _, part := range []string{c.refused, "vendor.test/dev=d", filepath.Join(dir, "v.yaml"), "runtime class"} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q does not name %q", err, part)
				}
			}
		})
	}
}

func TestResolve(t *testing.T) {
	const device = "vendor.test/dev=d"
	low, high := t.TempDir(), filepath.Join(t.TempDir(), "made-later")
	r := New([]string{low, high})
	_, err := r.Resolve([]string{device, "vendor.test/dev=e"})
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "unresolvable CDI devices vendor.test/dev=d, vendor.test/dev=e") || !strings.Contains(err.Error(), high) {
		t.Errorf("unknown devices: %v", err)
	}
	writeSpec(t, low, "v.yaml", "{}", "{env: [FROM=low]}")
	if got, err := r.Resolve([]string{device}); err != nil || got.Env[0] != "FROM=low" {
		t.Errorf("a spec made later: %+v, %v", got, err)
	}
	if err := os.Mkdir(high, 0o700); err != nil {
		t.Fatal(err)
	}
	writeSpec(t, high, "v.yaml", "{}", "{env: [FROM=high]}")
	if got, err := r.Resolve([]string{device}); err != nil || len(got.Env) != 1 || got.Env[0] != "FROM=high" {
		t.Errorf("the later folder's spec: %+v, %v", got, err)
	}
	// A broken spec matters only for what it might have had.
	if err := os.WriteFile(filepath.Join(low, "broken.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Resolve([]string{device}); err != nil {
		t.Errorf("beside a broken spec: %v", err)
	}
	if _, err := r.Resolve([]string{"other.test/dev=d"}); err == nil || !strings.Contains(err.Error(), "broken.json cannot be used") {
		t.Errorf("the broken spec is not named: %v", err)
	}
	writeSpec(t, high, "w.yaml", "{}", "{env: [FROM=conflict]}")
	if _, err := r.Resolve([]string{device}); err == nil || !strings.Contains(err.Error(), "conflicting device") {
		t.Errorf("two specs with one device: %v", err)
	}
	if _, err := New(nil).Resolve([]string{device}); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "cdi.enabled") {
		t.Errorf("switched off: %v", err)
	}
	if got, err := New(nil).Resolve(nil); err != nil || got == nil {
		t.Errorf("no devices: %v, %v", got, err)
	}
}

func TestRequested(t *testing.T) {
	got, err := Requested([]string{"a.b/c=1"}, map[string]string{
		"cdi.k8s.io/y": "a.b/c=3,a.b/c=1", "cdi.k8s.io/x": "a.b/c=2", "other": "not a device",
	})
	if diff := cmp.Diff([]string{"a.b/c=1", "a.b/c=2", "a.b/c=3"}, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if _, err := Requested([]string{"gpu0"}, nil); !errors.Is(err, ErrName) || !strings.Contains(err.Error(), "gpu0") {
		t.Errorf("unqualified: %v", err)
	}
	if _, err := Requested(nil, map[string]string{"cdi.k8s.io/x": "a.b/c=1,"}); !errors.Is(err, ErrName) || !strings.Contains(err.Error(), "cdi.k8s.io/x") {
		t.Errorf("annotation: %v", err)
	}
}

func FuzzRequested(f *testing.F) {
	f.Add("a.b/c=1", "a.b/c=2,a.b/c=1")
	f.Add("gpu0", "a.b/c=,=")
	f.Fuzz(func(t *testing.T, name, annotation string) {
		got, err := Requested([]string{name}, map[string]string{"cdi.k8s.io/x": annotation})
		if err != nil {
			return
		}
		if len(got) == 0 || got[0] != name || len(got) > 1+strings.Count(annotation, ",")+1 {
			t.Errorf("%q and %q: %q", name, annotation, got)
		}
	})
}
