package cri

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/guest"
)

func windowsHost() Config {
	c := testConfig()
	c.HostOS, c.CgroupDriver = guest.Windows, 0
	return c
}

// What kubelet on a Windows node asks for a Linux pod: paths of the node with
// drives, some paths of the container, too; status gives them back to the letter.
func TestLinuxPodOnAWindowsNode(t *testing.T) {
	h := newHarness(t, windowsHost())
	sandbox := goodSandbox()
	sandbox.LogDirectory = `C:\var\log\pods\default_web_u-1`
	sandbox.Linux.CgroupParent = ""
	pod, err := h.pods.RunPodSandbox(testContext(t), &runtimeapi.RunPodSandboxRequest{Config: sandbox})
	if err != nil {
		t.Fatal(err)
	}
	want := []*runtimeapi.Mount{
		{ContainerPath: "/etc/hosts", HostPath: `c:\var\lib\kubelet\pods\u-1\etc-hosts`},
		{ContainerPath: "c:/dev/termination-log", HostPath: `\var\lib\kubelet\pods\u-1\containers\app\0`},
		{ContainerPath: "/var/run/secrets/kubernetes.io/serviceaccount", HostPath: `c:\var\lib\kubelet\pods\u-1\volumes\token`, Readonly: true},
	}
	cfg := goodContainer()
	cfg.Mounts, cfg.Linux = want, nil
	cfg.Windows = &runtimeapi.WindowsContainerConfig{Resources: &runtimeapi.WindowsContainerResources{CpuMaximum: 2500, MemoryLimitInBytes: 1 << 28}}
	created, err := h.pods.CreateContainer(testContext(t), &runtimeapi.CreateContainerRequest{PodSandboxId: pod.PodSandboxId, Config: cfg, SandboxConfig: sandbox})
	if err != nil {
		t.Fatal(err)
	}
	got, err := h.pods.ContainerStatus(testContext(t), &runtimeapi.ContainerStatusRequest{ContainerId: created.ContainerId})
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range got.Status.Mounts {
		if !proto.Equal(m, want[i]) {
			t.Errorf("mount %v, want %v", m, want[i])
		}
	}
	for name, path := range map[string]string{"the root": "c:/", "relative": "dev/log", "no drive": "cc:/x"} {
		cfg.Mounts = []*runtimeapi.Mount{{ContainerPath: path, HostPath: `c:\x`}}
		_, err := h.pods.CreateContainer(testContext(t), &runtimeapi.CreateContainerRequest{PodSandboxId: pod.PodSandboxId, Config: cfg, SandboxConfig: sandbox})
		if status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v, want InvalidArgument", name, err)
		}
	}
}
