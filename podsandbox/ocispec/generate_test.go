package ocispec

import (
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

var image = imagespec.ImageConfig{
	Entrypoint: []string{"/entry"}, Cmd: []string{"cmd"},
	Env: []string{"A=image", "B=image"}, WorkingDir: "/work",
}

func TestArgs(t *testing.T) {
	for _, c := range []struct {
		name          string
		image         imagespec.ImageConfig
		command, args []string
		want          []string
	}{
		{"image's", image, nil, nil, []string{"/entry", "cmd"}},
		{"args replace the image's", image, nil, []string{"a"}, []string{"/entry", "a"}},
		{"command drops the image's args", image, []string{"c"}, nil, []string{"c"}},
		{"both", image, []string{"c"}, []string{"a"}, []string{"c", "a"}},
		{"no entrypoint", imagespec.ImageConfig{Cmd: []string{"sh"}}, nil, nil, []string{"sh"}},
		{"empty entrypoint", imagespec.ImageConfig{Entrypoint: []string{""}, Cmd: []string{"sh"}}, nil, nil, []string{"sh"}},
		{"nothing", imagespec.ImageConfig{}, nil, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			spec, err := Generate(Container{ID: "x", Image: c.image, Command: c.command, Args: c.args})
			if c.want == nil {
				if !errors.Is(err, ErrInvalid) {
					t.Fatalf("error %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, spec.Process.Args); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEnvironmentAndWorkingDir(t *testing.T) {
	for _, c := range []struct {
		name string
		in   Container
		want []string
		cwd  string
	}{
		{"image", Container{Image: image}, []string{defaultPath, "A=image", "B=image"}, "/work"},
		{"container wins", Container{Image: image, Env: []string{"B=mine", "C="}, WorkingDir: "/mine"},
			[]string{defaultPath, "A=image", "B=mine", "C="}, "/mine"},
		{"tty and host name", Container{Image: imagespec.ImageConfig{Cmd: []string{"sh"}}, TTY: true, Hostname: "pod"},
			[]string{defaultPath, "TERM=xterm", "HOSTNAME=pod"}, "/"},
		{"path and term are the image's", Container{Image: imagespec.ImageConfig{Cmd: []string{"sh"}, Env: []string{"PATH=/x", "TERM=vt100"}}, TTY: true},
			[]string{"PATH=/x", "TERM=vt100"}, "/"},
	} {
		t.Run(c.name, func(t *testing.T) {
			spec, err := Generate(c.in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, spec.Process.Env); diff != "" {
				t.Error(diff)
			}
			if spec.Process.Cwd != c.cwd {
				t.Errorf("cwd %s", spec.Process.Cwd)
			}
		})
	}
}

func TestCapabilities(t *testing.T) {
	without := func(set []string, names ...string) []string {
		return slices.DeleteFunc(slices.Clone(set), func(n string) bool { return slices.Contains(names, n) })
	}
	for _, c := range []struct {
		name    string
		in      Container
		want    []string
		ambient []string
		bad     bool
	}{
		{name: "default", want: defaultCapabilities},
		{name: "add", in: Container{AddCapabilities: []string{"NET_ADMIN", "CAP_SYS_TIME", "chown"}},
			want: append(slices.Clone(defaultCapabilities), "CAP_NET_ADMIN", "CAP_SYS_TIME")},
		{name: "drop", in: Container{DropCapabilities: []string{"CHOWN", "CAP_KILL"}}, want: without(defaultCapabilities, "CAP_CHOWN", "CAP_KILL")},
		{name: "drop all, add one", in: Container{DropCapabilities: []string{"ALL"}, AddCapabilities: []string{"NET_BIND_SERVICE"}},
			want: []string{"CAP_NET_BIND_SERVICE"}},
		{name: "add all, drop one", in: Container{AddCapabilities: []string{"all"}, DropCapabilities: []string{"SYS_ADMIN"}},
			want: without(allCapabilities, "CAP_SYS_ADMIN")},
		{name: "privileged", in: Container{Privileged: true, DropCapabilities: []string{"ALL"}}, want: allCapabilities},
		{name: "ambient", in: Container{AmbientCapabilities: []string{"NET_RAW"}}, want: defaultCapabilities, ambient: []string{"CAP_NET_RAW"}},
		{name: "unknown", in: Container{AddCapabilities: []string{"FLY"}}, bad: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.in.Image = image
			spec, err := Generate(c.in)
			if c.bad {
				if !errors.Is(err, ErrInvalid) {
					t.Fatalf("error %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := spec.Process.Capabilities
			for _, set := range [][]string{got.Bounding, got.Effective, got.Permitted} {
				if diff := cmp.Diff(c.want, set); diff != "" {
					t.Error(diff)
				}
			}
			if !slices.Equal(got.Ambient, c.ambient) || !slices.Equal(got.Inheritable, c.ambient) {
				t.Errorf("ambient %v, inheritable %v", got.Ambient, got.Inheritable)
			}
		})
	}
}

func TestSeccomp(t *testing.T) {
	profile := []byte(`{"defaultAction":"SCMP_ACT_LOG"}`)
	for _, c := range []struct {
		name string
		in   Container
		want specs.LinuxSeccompAction
		bad  bool
	}{
		{name: "default", want: specs.ActErrno},
		{name: "unconfined", in: Container{Seccomp: Seccomp{Unconfined: true}}},
		{name: "privileged", in: Container{Privileged: true}},
		{name: "localhost", in: Container{Seccomp: Seccomp{Profile: profile}}, want: specs.ActLog},
		{name: "not JSON", in: Container{Seccomp: Seccomp{Profile: []byte("x")}}, bad: true},
		{name: "empty", in: Container{Seccomp: Seccomp{Profile: []byte("{}")}}, bad: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.in.Image = image
			spec, err := Generate(c.in)
			if (err != nil) != c.bad {
				t.Fatalf("error %v", err)
			}
			if err != nil {
				return
			}
			var got specs.LinuxSeccompAction
			if spec.Linux.Seccomp != nil {
				got = spec.Linux.Seccomp.DefaultAction
			}
			if got != c.want {
				t.Errorf("action %q, want %q", got, c.want)
			}
		})
	}
}

func TestDevices(t *testing.T) {
	spec, err := Generate(Container{Image: image, Devices: []Device{{GuestPath: "/dev/fuse", ContainerPath: "/dev/f", Permissions: "rw"}}})
	if err != nil {
		t.Fatal(err)
	}
	d := spec.Linux.Devices
	if len(d) != 1 || d[0].Path != "/dev/f" || d[0].Major != 10 || d[0].Minor != 229 {
		t.Errorf("devices %v", d)
	}
	rules := spec.Linux.Resources.Devices
	if last := rules[len(rules)-1]; rules[0].Allow || *last.Minor != 229 || last.Access != "rw" {
		t.Errorf("rules %v", rules)
	}
	mode, gid := os.FileMode(0o600), uint32(7)
	spec, err = Generate(Container{Image: image, Devices: []Device{
		{GuestPath: "/dev/fuse", Permissions: NoAccess, FileMode: &mode, GID: &gid, UserOwned: true}, {GuestPath: "/dev/net/tun"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if d := spec.Linux.Devices; *d[0].FileMode != mode || d[0].UID != nil || *d[0].GID != gid || *d[1].FileMode != 0o666 || *d[1].UID != 0 || *d[1].GID != 0 {
		t.Errorf("devices %v", d)
	}
	for _, r := range spec.Linux.Resources.Devices {
		if r.Minor != nil && *r.Minor == 229 {
			t.Errorf("a device without access has a rule: %v", r)
		}
	}
	for _, bad := range []Device{{GuestPath: "/dev/sda"}, {GuestPath: "/dev/null", Permissions: "x"}} {
		if _, err := Generate(Container{Image: image, Devices: []Device{bad}}); !errors.Is(err, ErrInvalid) {
			t.Errorf("%v: error %v", bad, err)
		}
	}
}

func TestPrivilegedIsUnmasked(t *testing.T) {
	in := Container{ID: "c", Image: image, MaskedPaths: []string{"/proc/kcore"}, ReadonlyPaths: []string{"/proc/sys"}, ReadOnlyRootfs: true}
	spec, err := Generate(in)
	if err != nil {
		t.Fatal(err)
	}
	if len(spec.Linux.MaskedPaths) != 1 || len(spec.Linux.ReadonlyPaths) != 1 || !spec.Root.Readonly || spec.Linux.CgroupsPath != "/pod/c" {
		t.Errorf("spec %+v", spec.Linux)
	}
	in.Privileged = true
	if spec, err = Generate(in); err != nil {
		t.Fatal(err)
	}
	if spec.Linux.MaskedPaths != nil || spec.Linux.ReadonlyPaths != nil {
		t.Error("privileged container has masked paths")
	}
	for _, m := range spec.Mounts {
		if slices.Contains(m.Options, "ro") {
			t.Errorf("%s is read-only", m.Destination)
		}
	}
}

func TestResources(t *testing.T) {
	got := LinuxResources(Resources{CPUPeriod: 100000, CPUQuota: 50000, CPUShares: 2, MemoryLimit: 1 << 20, CpusetCpus: "0", Unified: map[string]string{"pids.max": "3"}})
	if *got.Memory.Limit != 1<<20 || got.Memory.Swap != nil || *got.CPU.Quota != 50000 || *got.CPU.Period != 100000 || *got.CPU.Shares != 2 || got.CPU.Cpus != "0" || got.Unified["pids.max"] != "3" {
		t.Errorf("resources %+v", got)
	}
	if empty := LinuxResources(Resources{}); empty.Memory != nil || empty.CPU != nil {
		t.Errorf("nothing set, got %+v", empty)
	}
}
