package cri

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	rt "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/podsandbox"
)

func TestWindowsResources(t *testing.T) {
	s := &Server{cfg: Config{Processors: 4}}
	for name, tc := range map[string]struct {
		in   *rt.WindowsContainerResources
		want podsandbox.Resources
		back *rt.WindowsContainerResources
	}{
		"nothing":          {&rt.WindowsContainerResources{}, podsandbox.Resources{}, &rt.WindowsContainerResources{}},
		"memory":           {&rt.WindowsContainerResources{MemoryLimitInBytes: 1 << 30}, podsandbox.Resources{MemoryLimit: 1 << 30}, &rt.WindowsContainerResources{MemoryLimitInBytes: 1 << 30}},
		"a quarter":        {&rt.WindowsContainerResources{CpuMaximum: 2500}, podsandbox.Resources{CPUPeriod: 100000, CPUQuota: 100000}, &rt.WindowsContainerResources{CpuMaximum: 2500}},
		"count wins":       {&rt.WindowsContainerResources{CpuCount: 2, CpuMaximum: 2500, CpuShares: 1}, podsandbox.Resources{CPUPeriod: 100000, CPUQuota: 200000}, &rt.WindowsContainerResources{CpuMaximum: 5000}},
		"more than it has": {&rt.WindowsContainerResources{CpuCount: 64}, podsandbox.Resources{CPUPeriod: 100000, CPUQuota: 400000}, &rt.WindowsContainerResources{CpuMaximum: 10000}},
		"least":            {&rt.WindowsContainerResources{CpuMaximum: 1}, podsandbox.Resources{CPUPeriod: 100000, CPUQuota: 1000}, &rt.WindowsContainerResources{CpuMaximum: 25}},
		"weight":           {&rt.WindowsContainerResources{CpuShares: 5000}, podsandbox.Resources{CPUShares: 1024}, &rt.WindowsContainerResources{CpuShares: 5000}},
	} {
		got := s.windowsResources(tc.in)
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if back := s.criWindowsResources(&got); !proto.Equal(back, tc.back) {
			t.Errorf("%s: told as %v, want %v", name, back, tc.back)
		}
	}
}

// windowsHarness has a Linux node with both handlers.
func windowsHarness(t *testing.T) *harness {
	t.Helper()
	cfg := bothHandlers()
	cfg.Processors = 2
	return newHarness(t, cfg)
}

// TestWindowsContainer makes one as a Windows kubelet asks for it, and reads it back.
func TestWindowsContainer(t *testing.T) {
	h, ctx := windowsHarness(t), testContext(t)
	pod, err := h.pods.RunPodSandbox(ctx, &rt.RunPodSandboxRequest{Config: goodSandbox(), RuntimeHandler: "wcow"})
	if err != nil {
		t.Fatal(err)
	}
	cfg := goodContainer()
	cfg.Linux, cfg.Devices = nil, nil
	cfg.WorkingDir = `C:\app`
	cfg.Mounts = []*rt.Mount{{ContainerPath: `C:\var\run\secrets`, HostPath: "/host"}}
	cfg.Windows = &rt.WindowsContainerConfig{
		Resources:       &rt.WindowsContainerResources{CpuMaximum: 5000, MemoryLimitInBytes: 1 << 28},
		SecurityContext: &rt.WindowsContainerSecurityContext{RunAsUsername: "ContainerUser"},
	}
	made, err := h.pods.CreateContainer(ctx, &rt.CreateContainerRequest{PodSandboxId: pod.PodSandboxId, Config: cfg, SandboxConfig: goodSandbox()})
	if err != nil {
		t.Fatal(err)
	}
	c, err := h.rt.Container(made.ContainerId)
	if err != nil {
		t.Fatal(err)
	}
	if r := c.Config.Resources; r.CPUQuota != 100000 || r.MemoryLimit != 1<<28 || c.Config.Security.RunAsUsername != "ContainerUser" {
		t.Errorf("limits %+v, user %q", r, c.Config.Security.RunAsUsername)
	}
	st, err := h.pods.ContainerStatus(ctx, &rt.ContainerStatusRequest{ContainerId: made.ContainerId})
	if err != nil {
		t.Fatal(err)
	}
	if got := st.Status.Resources; got.GetWindows().GetCpuMaximum() != 5000 || got.GetLinux().GetMemoryLimitInBytes() != 1<<28 {
		t.Errorf("resources are told as %v", got)
	}
	update := &rt.UpdateContainerResourcesRequest{ContainerId: made.ContainerId, Windows: &rt.WindowsContainerResources{CpuMaximum: 10000}}
	if _, err := h.pods.UpdateContainerResources(ctx, update); err != nil {
		t.Errorf("UpdateContainerResources: %v", err)
	}

	cfg.Metadata.Name = "second"
	cfg.Mounts[0].ContainerPath = "relative"
	_, err = h.pods.CreateContainer(ctx, &rt.CreateContainerRequest{PodSandboxId: pod.PodSandboxId, Config: cfg, SandboxConfig: goodSandbox()})
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("a relative mount: %v", err)
	}
	cfg.Mounts, cfg.Windows.SecurityContext.CredentialSpec = nil, "{}"
	_, err = h.pods.CreateContainer(ctx, &rt.CreateContainerRequest{PodSandboxId: pod.PodSandboxId, Config: cfg, SandboxConfig: goodSandbox()})
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("a credential spec: %v", err)
	}
}
