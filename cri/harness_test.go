package cri

import (
	"context"
	"net"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/guest"
)

// harness is a server over a real socket, on fakes.
type harness struct {
	t      testing.TB
	rt     *fakeRuntime
	img    *fakeImages
	srv    *Server
	pods   runtimeapi.RuntimeServiceClient
	images runtimeapi.ImageServiceClient
	conn   *grpc.ClientConn
	stop   func() error // ends Serve and returns its error
}

func testConfig() Config {
	return Config{
		Version:        "1.2.3",
		Backend:        map[string]string{"accelerator": "none"},
		Handlers:       []guest.Handler{guest.LCOW},
		DefaultHandler: guest.LCOW,
		CgroupDriver:   runtimeapi.CgroupDriver_CGROUPFS,
		HostOS:         guest.Linux,
		StatsTimeout:   500 * time.Millisecond,
	}
}

func newHarness(t testing.TB, cfg Config) *harness {
	t.Helper()
	h := &harness{t: t, rt: newFakeRuntime(), img: newFakeImages()}
	var err error
	if h.srv, err = New(cfg, h.rt, h.img); err != nil {
		t.Fatal(err)
	}
	l, target := listenTest(t)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- h.srv.Serve(ctx, l) }()
	h.stop = func() error { cancel(); err := <-served; served <- err; return err }
	h.conn, err = grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessageSize), grpc.MaxCallSendMsgSize(2*maxMessageSize)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		h.conn.Close()
		if err := h.stop(); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	h.pods, h.images = runtimeapi.NewRuntimeServiceClient(h.conn), runtimeapi.NewImageServiceClient(h.conn)
	return h
}

// listenTest is a socket for the server, and how a client names it. Not every
// Windows has Unix sockets.
func listenTest(t testing.TB) (net.Listener, string) {
	network, address := "unix", filepath.Join(t.TempDir(), "s")
	if runtime.GOOS == "windows" {
		network, address = "tcp", "127.0.0.1:0"
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	if network == "unix" {
		return l, "unix://" + address
	}
	return l, "passthrough:///" + l.Addr().String()
}

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func goodSandbox() *runtimeapi.PodSandboxConfig {
	return &runtimeapi.PodSandboxConfig{
		Metadata:     &runtimeapi.PodSandboxMetadata{Name: "web", Uid: "u-1", Namespace: "default", Attempt: 1},
		Hostname:     "web",
		LogDirectory: "/var/log/pods/default_web_u-1",
		DnsConfig:    &runtimeapi.DNSConfig{Servers: []string{"10.0.0.10"}, Searches: []string{"svc.cluster.local"}, Options: []string{"ndots:5"}},
		PortMappings: []*runtimeapi.PortMapping{{ContainerPort: 80, HostPort: 8080}, {ContainerPort: 81}},
		Labels:       map[string]string{"app": "web"},
		Annotations:  map[string]string{"note": "x"},
		Linux: &runtimeapi.LinuxPodSandboxConfig{
			CgroupParent:    "/kubepods/pod1",
			Sysctls:         map[string]string{"net.core.somaxconn": "1024"},
			SecurityContext: &runtimeapi.LinuxSandboxSecurityContext{NamespaceOptions: &runtimeapi.NamespaceOption{Pid: runtimeapi.NamespaceMode_CONTAINER}},
		},
	}
}

func goodContainer() *runtimeapi.ContainerConfig {
	return &runtimeapi.ContainerConfig{
		Metadata: &runtimeapi.ContainerMetadata{Name: "app", Attempt: 2},
		Image:    &runtimeapi.ImageSpec{Image: "sha256:aa", UserSpecifiedImage: "example.org/app:1"},
		Command:  []string{"/bin/app"},
		Envs:     []*runtimeapi.KeyValue{{Key: "A", Value: []byte("b")}},
		Mounts: []*runtimeapi.Mount{{
			ContainerPath: "/data", HostPath: "/srv/data", Readonly: true, SelinuxRelabel: true, RecursiveReadOnly: true,
		}},
		Labels:      map[string]string{"c": "app"},
		Annotations: map[string]string{"restarts": "0"},
		LogPath:     "app/0.log",
		StopSignal:  runtimeapi.Signal_SIGNAL_SIGRTMINPLUS3,
		Linux: &runtimeapi.LinuxContainerConfig{
			Resources: &runtimeapi.LinuxContainerResources{CpuPeriod: 100000, CpuQuota: 50000, CpuShares: 512, MemoryLimitInBytes: 1 << 28, OomScoreAdj: 900},
			SecurityContext: &runtimeapi.LinuxContainerSecurityContext{
				RunAsUser:    &runtimeapi.Int64Value{Value: 1000},
				Capabilities: &runtimeapi.Capability{AddCapabilities: []string{"cap_net_admin"}, DropCapabilities: []string{"ALL"}},
				Seccomp:      &runtimeapi.SecurityProfile{ProfileType: runtimeapi.SecurityProfile_RuntimeDefault},
			},
		},
	}
}

// runPod runs a sandbox and a started container in it.
func (h *harness) runPod(cfg *runtimeapi.ContainerConfig) (sandbox, container string) {
	h.t.Helper()
	ctx := testContext(h.t)
	sb, err := h.pods.RunPodSandbox(ctx, &runtimeapi.RunPodSandboxRequest{Config: goodSandbox()})
	if err != nil {
		h.t.Fatal(err)
	}
	c, err := h.pods.CreateContainer(ctx, &runtimeapi.CreateContainerRequest{PodSandboxId: sb.PodSandboxId, Config: cfg, SandboxConfig: goodSandbox()})
	if err != nil {
		h.t.Fatal(err)
	}
	if _, err := h.pods.StartContainer(ctx, &runtimeapi.StartContainerRequest{ContainerId: c.ContainerId}); err != nil {
		h.t.Fatal(err)
	}
	return sb.PodSandboxId, c.ContainerId
}
