package cri

import (
	"strings"
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

// What needs the node itself is refused in words that say what to use.
func TestNodesOwnOnAWindowsNode(t *testing.T) {
	h := newHarness(t, windowsHost())
	for want, change := range map[string]func(*runtimeapi.PodSandboxConfig){
		"hostPort": func(c *runtimeapi.PodSandboxConfig) {
			c.Linux.SecurityContext = &runtimeapi.LinuxSandboxSecurityContext{NamespaceOptions: &runtimeapi.NamespaceOption{Network: runtimeapi.NamespaceMode_NODE}}
		},
		"Windows service": func(c *runtimeapi.PodSandboxConfig) {
			c.Windows = &runtimeapi.WindowsPodSandboxConfig{SecurityContext: &runtimeapi.WindowsSandboxSecurityContext{HostProcess: true}}
		},
	} {
		sandbox := goodSandbox()
		sandbox.Linux.CgroupParent = ""
		change(sandbox)
		_, err := h.pods.RunPodSandbox(testContext(t), &runtimeapi.RunPodSandboxRequest{Config: sandbox})
		if status.Code(err) != codes.Unimplemented || !strings.Contains(status.Convert(err).Message(), want) || strings.Contains(status.Convert(err).Message(), "hostNetwork.mode") {
			t.Errorf("%v; want Unimplemented, and what to use instead: %s", err, want)
		}
	}
}
