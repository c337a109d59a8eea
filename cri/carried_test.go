package cri

import (
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/admission/carry"
	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/podsandbox"
)

// fromWindows is a container's config as a Windows kubelet sends it.
func fromWindows(name string) *runtimeapi.ContainerConfig {
	return &runtimeapi.ContainerConfig{
		Metadata: &runtimeapi.ContainerMetadata{Name: name}, Image: &runtimeapi.ImageSpec{Image: "web:1"},
		Windows: &runtimeapi.WindowsContainerConfig{},
	}
}

func carriedSandbox(t *testing.T, pod *carry.Pod) *podsandbox.SandboxStatus {
	t.Helper()
	sb := &podsandbox.SandboxStatus{Config: podsandbox.SandboxConfig{Handler: guest.LCOW}}
	if pod != nil {
		value, err := carry.Encode(*pod)
		if err != nil {
			t.Fatal(err)
		}
		sb.Config.Annotations = map[string]string{carry.Annotation: value}
	}
	return sb
}

func TestCarried(t *testing.T) {
	cfg := testConfig()
	cfg.HostOS = guest.Windows
	s := &Server{cfg: cfg}
	sb := carriedSandbox(t, &carry.Pod{Groups: []int64{7}, StrictGroups: true, Containers: map[string]carry.Container{
		"a": {
			User: new(int64(1000)), Group: new(int64(1001)), NonRoot: true, NoNewPrivileges: true, ReadOnlyRoot: true,
			DropCapabilities: []string{"ALL"}, AddCapabilities: []string{"NET_BIND_SERVICE"},
			Seccomp: carry.Seccomp{Type: "RuntimeDefault"}, CPURequest: 500,
		},
		"free": {Privileged: true},
	}})
	sent := fromWindows("a")
	sent.Windows.Resources = &runtimeapi.WindowsContainerResources{MemoryLimitInBytes: 64 << 20, CpuMaximum: 2500}
	got, err := s.withCarried(t.Context(), sent, sb)
	if err != nil {
		t.Fatal(err)
	}
	out := s.containerConfig(got, guest.Linux)
	want := podsandbox.Security{
		RunAsUser: new(int64(1000)), RunAsGroup: new(int64(1001)), SupplementalGroups: []int64{7}, StrictGroups: true,
		NoNewPrivs: true, ReadOnlyRootfs: true, MaskedPaths: maskedPaths, ReadonlyPaths: readonlyPaths,
		DropCapabilities: []string{"ALL"}, AddCapabilities: []string{"NET_BIND_SERVICE"},
		Seccomp: podsandbox.Profile{Kind: podsandbox.ProfileRuntimeDefault}, AppArmor: podsandbox.Profile{Kind: podsandbox.ProfileUnconfined},
	}
	if diff := cmp.Diff(want, out.Security); diff != "" {
		t.Error(diff)
	}
	if r, quota := out.Resources, int64(25000*runtime.NumCPU()); r.CPUShares != 512 || r.MemoryLimit != 64<<20 || r.CPUPeriod != 100000 || r.CPUQuota != quota {
		t.Errorf("resources %+v, want 512 shares, 64 MiB, and a quota of %d in 100000", r, quota)
	}
	if sent.Linux != nil {
		t.Error("the request was changed")
	}
	if got, err = s.withCarried(t.Context(), fromWindows("free"), sb); err != nil || !got.Linux.SecurityContext.Privileged || got.Linux.SecurityContext.MaskedPaths != nil {
		t.Errorf("privileged: %v, %v", got, err)
	}
	// One that the annotation does not tell of has nothing more than the defaults.
	if got, err = s.withCarried(t.Context(), fromWindows("debugger"), sb); err != nil || got.Linux.SecurityContext.Privileged || len(got.Linux.SecurityContext.MaskedPaths) == 0 {
		t.Errorf("an ephemeral container: %v, %v", got, err)
	}
}

func TestCarriedNotRead(t *testing.T) {
	sb := carriedSandbox(t, &carry.Pod{Containers: map[string]carry.Container{"a": {Privileged: true}}})
	windows := testConfig()
	windows.HostOS = guest.Windows
	linux := &Server{cfg: testConfig()}
	if got, err := linux.withCarried(t.Context(), fromWindows("a"), sb); err != nil || got.Linux != nil {
		t.Errorf("on a Linux node: %v, %v", got, err)
	}
	sb.Config.Handler = guest.WCOW
	if got, err := (&Server{cfg: windows}).withCarried(t.Context(), fromWindows("a"), sb); err != nil || got.Linux != nil {
		t.Errorf("for a Windows pod: %v, %v", got, err)
	}
}

func TestCarriedRefused(t *testing.T) {
	cfg := testConfig()
	cfg.HostOS = guest.Windows
	h := newHarness(t, cfg)
	for user, ok := range map[string]bool{"": false, "0": false, "0:0": false, "www": false, "33": true, "33:33": true} {
		h.img.user = user
		if _, err := h.img.Pull(t.Context(), "web:1", guest.Linux, nil); err != nil {
			t.Fatal(err)
		}
		sb := carriedSandbox(t, &carry.Pod{Containers: map[string]carry.Container{"a": {NonRoot: true}}})
		if _, err := h.srv.withCarried(t.Context(), fromWindows("a"), sb); (err == nil) != ok {
			t.Errorf("runAsNonRoot, image's user %q: %v", user, err)
		}
	}
	for what, sb := range map[string]*podsandbox.SandboxStatus{
		"root by the spec":      carriedSandbox(t, &carry.Pod{Containers: map[string]carry.Container{"a": {NonRoot: true, User: new(int64(0))}}}),
		"an annotation forged":  {Config: podsandbox.SandboxConfig{Handler: guest.LCOW, Annotations: map[string]string{carry.Annotation: "{"}}},
		"an unknown capability": carriedSandbox(t, &carry.Pod{Containers: map[string]carry.Container{"a": {AddCapabilities: []string{"WORLD\n"}}}}),
	} {
		if _, err := h.srv.withCarried(t.Context(), fromWindows("a"), sb); codeOf(err) != codes.InvalidArgument {
			t.Errorf("%s: %v", what, err)
		}
	}
}
