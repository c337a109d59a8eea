package cri

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	rt "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/imageservice"
	"github.com/paddock-run/paddock/network"
	"github.com/paddock-run/paddock/podsandbox"
)

func codeText(err error) string { return status.Code(err).String() }

// echo sends a line to a local port and wants it back.
func echo(t *testing.T, port uint16) {
	t.Helper()
	conn, err := net.Dial("tcp", fmt.Sprintf("localhost:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "ping\n"); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 5)
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != "ping\n" {
		t.Fatalf("%q, %v", got, err)
	}
}

func TestPodLife(t *testing.T) {
	h := newHarness(t, testConfig())
	ctx := testContext(t)
	sb, c := h.runPod(goodContainer())
	cfg := h.rt.sandboxes[sb].Config
	if cfg.Handler != guest.LCOW || cfg.RuntimeHandler != "" || len(cfg.PortMappings) != 1 || cfg.Namespaces.PID != podsandbox.NamespaceContainer {
		t.Errorf("sandbox config %+v", cfg)
	}
	h.rt.sandboxes[sb].Network = &network.Attachment{Interfaces: []network.Interface{{Name: "eth0", Addresses: []netip.Prefix{
		netip.MustParsePrefix("10.1.0.5/24"), netip.MustParsePrefix("fd00::5/64"),
	}}}}
	st, err := h.pods.PodSandboxStatus(ctx, &rt.PodSandboxStatusRequest{PodSandboxId: sb[:6], Verbose: true})
	if err != nil {
		t.Fatal(err)
	}
	s := st.Status
	if s.Id != sb || s.Network.Ip != "10.1.0.5" || len(s.Network.AdditionalIps) != 1 || s.Network.AdditionalIps[0].Ip != "fd00::5" {
		t.Errorf("status %v", s)
	}
	if s.Linux.GetNamespaces().GetOptions().GetPid() != rt.NamespaceMode_CONTAINER || s.Labels["app"] != "web" || s.Metadata.Attempt != 1 {
		t.Errorf("status %v", s)
	}
	if len(st.ContainersStatuses) != 1 || st.Timestamp == 0 || st.Info["network"] == "" || st.Info["config"] == "" {
		t.Errorf("response %v", st)
	}
	for range 2 { // idempotent
		if _, err := h.pods.StopContainer(ctx, &rt.StopContainerRequest{ContainerId: c[:6], Timeout: 7}); err != nil {
			t.Fatal(err)
		}
	}
	if h.rt.stopGrace != 7*time.Second {
		t.Errorf("grace %v", h.rt.stopGrace)
	}
	for range 2 {
		if _, err := h.pods.RemoveContainer(ctx, &rt.RemoveContainerRequest{ContainerId: c}); err != nil {
			t.Fatal(err)
		}
		if _, err := h.pods.StopPodSandbox(ctx, &rt.StopPodSandboxRequest{PodSandboxId: sb}); err != nil {
			t.Fatal(err)
		}
		if _, err := h.pods.RemovePodSandbox(ctx, &rt.RemovePodSandboxRequest{PodSandboxId: sb}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestContainerStatusEchoesTheRequest(t *testing.T) {
	h := newHarness(t, testConfig())
	want := goodContainer()
	_, c := h.runPod(want)
	resp, err := h.pods.ContainerStatus(testContext(t), &rt.ContainerStatusRequest{ContainerId: c, Verbose: true})
	if err != nil {
		t.Fatal(err)
	}
	st := resp.Status
	if !proto.Equal(st.Mounts[0], want.Mounts[0]) {
		t.Errorf("mount %v, want %v", st.Mounts[0], want.Mounts[0])
	}
	if !proto.Equal(st.Resources.Linux, want.Linux.Resources) {
		t.Errorf("resources %v", st.Resources)
	}
	if st.StopSignal != want.StopSignal || st.ImageId != "sha256:aa" || st.ImageRef != "example.org/app@sha256:bb" || !proto.Equal(st.Image, want.Image) {
		t.Errorf("status %v", st)
	}
	if st.User.GetLinux().GetUid() != 1000 || st.State != rt.ContainerState_CONTAINER_RUNNING || st.CreatedAt == 0 || st.FinishedAt != 0 {
		t.Errorf("status %v", st)
	}
	if diff := cmp.Diff(want.Annotations, st.Annotations); diff != "" {
		t.Error(diff)
	}
	sec := h.rt.containers[c].Config.Security
	if sec.AddCapabilities[0] != "NET_ADMIN" || *sec.RunAsUser != 1000 || sec.Seccomp.Kind != podsandbox.ProfileRuntimeDefault {
		t.Errorf("security %+v", sec)
	}
}

func TestListFilters(t *testing.T) {
	h := newHarness(t, testConfig())
	ctx := testContext(t)
	sb1, c1 := h.runPod(goodContainer())
	sb2, c2 := h.runPod(goodContainer())
	h.rt.sandboxes[sb2].State = podsandbox.SandboxNotReady
	h.rt.containers[c2].State = podsandbox.ContainerExited
	ready := &rt.PodSandboxStateValue{State: rt.PodSandboxState_SANDBOX_READY}
	exited := &rt.ContainerStateValue{State: rt.ContainerState_CONTAINER_EXITED}
	for _, tc := range []struct {
		f    *rt.PodSandboxFilter
		want int
	}{
		{nil, 2}, {&rt.PodSandboxFilter{Id: sb1[:8]}, 1}, {&rt.PodSandboxFilter{Id: "ffff"}, 0}, {&rt.PodSandboxFilter{State: ready}, 1},
		{&rt.PodSandboxFilter{LabelSelector: map[string]string{"app": "web"}}, 2},
		{&rt.PodSandboxFilter{LabelSelector: map[string]string{"app": "db"}}, 0},
	} {
		resp, err := h.pods.ListPodSandbox(ctx, &rt.ListPodSandboxRequest{Filter: tc.f})
		if err != nil || len(resp.Items) != tc.want {
			t.Errorf("%v: %v, %v", tc.f, resp, err)
		}
	}
	for _, tc := range []struct {
		f    *rt.ContainerFilter
		want int
	}{
		{nil, 2}, {&rt.ContainerFilter{Id: c1[:8]}, 1}, {&rt.ContainerFilter{PodSandboxId: sb1[:8]}, 1},
		{&rt.ContainerFilter{PodSandboxId: "ffff"}, 0}, {&rt.ContainerFilter{Id: c1, PodSandboxId: sb2}, 0},
		{&rt.ContainerFilter{State: exited}, 1}, {&rt.ContainerFilter{LabelSelector: map[string]string{"c": "app"}}, 2},
	} {
		resp, err := h.pods.ListContainers(ctx, &rt.ListContainersRequest{Filter: tc.f})
		if err != nil || len(resp.Containers) != tc.want {
			t.Errorf("%v: %v, %v", tc.f, resp, err)
		}
		stream, err := h.pods.StreamContainers(ctx, &rt.StreamContainersRequest{Filter: tc.f})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for {
			part, err := stream.Recv()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			n += len(part.Containers)
		}
		if n != tc.want {
			t.Errorf("%v: %d streamed", tc.f, n)
		}
	}
}

// TestStreamSplits lists more than one message may hold.
func TestStreamSplits(t *testing.T) {
	h := newHarness(t, testConfig())
	big := strings.Repeat("x", 64<<10)
	for i := range 600 {
		id := fmt.Sprintf("%064x", i)
		h.rt.sandboxes[id] = &podsandbox.SandboxStatus{ID: id, Config: podsandbox.SandboxConfig{Annotations: map[string]string{"a": big}}}
	}
	stream, err := h.pods.StreamPodSandboxes(testContext(t), &rt.StreamPodSandboxesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	seen, parts := map[string]bool{}, 0
	for {
		part, err := stream.Recv()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		parts++
		for _, s := range part.PodSandboxes {
			seen[s.Id] = true
		}
	}
	if len(seen) != 600 || parts < 10 {
		t.Errorf("%d sandboxes in %d parts", len(seen), parts)
	}
}

func TestStatus(t *testing.T) {
	h := newHarness(t, testConfig())
	for _, tc := range []struct {
		err              error
		runtime, network bool
	}{
		{nil, true, true},
		{fmt.Errorf("%w: no file in /etc/cni/net.d: %w", network.ErrNotReady, errors.New("empty")), true, false},
		{errors.New("no guest image"), false, true},
		{errors.Join(network.ErrNotReady, errors.New("no guest image")), false, false},
	} {
		h.rt.mu.Lock()
		h.rt.status = tc.err
		h.rt.mu.Unlock()
		resp, err := h.pods.Status(testContext(t), &rt.StatusRequest{Verbose: true})
		if err != nil {
			t.Fatal(err)
		}
		c := resp.Status.Conditions
		if c[0].Type != rt.RuntimeReady || c[0].Status != tc.runtime || c[1].Type != rt.NetworkReady || c[1].Status != tc.network {
			t.Errorf("%v: %v", tc.err, c)
		}
		if len(resp.RuntimeHandlers) != 2 || !resp.RuntimeHandlers[0].Features.RecursiveReadOnlyMounts || !resp.RuntimeHandlers[1].Features.UserNamespaces || resp.Info["backend"] == "" {
			t.Errorf("%v", resp)
		}
	}
	v, err := h.pods.Version(testContext(t), &rt.VersionRequest{})
	if err != nil || v.RuntimeName != "paddock" || v.RuntimeApiVersion != "v1" || v.RuntimeVersion != "1.2.3" {
		t.Errorf("%v, %v", v, err)
	}
	rc, err := h.pods.RuntimeConfig(testContext(t), &rt.RuntimeConfigRequest{})
	if err != nil || rc.Linux.CgroupDriver != rt.CgroupDriver_CGROUPFS {
		t.Errorf("%v, %v", rc, err)
	}
}

func TestErrorCodes(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want codes.Code
	}{
		{podsandbox.ErrNotFound, codes.NotFound},
		{fmt.Errorf("x: %w", podsandbox.ErrExists), codes.AlreadyExists},
		{podsandbox.ErrState, codes.FailedPrecondition},
		{podsandbox.ErrUnsupported, codes.Unimplemented},
		{podsandbox.ErrUnavailable, codes.Unavailable},
		{imageservice.ErrNoSpace, codes.ResourceExhausted},
		{imageservice.ErrUnauthorized, codes.PermissionDenied},
		{network.ErrNotReady, codes.Unavailable},
		{context.DeadlineExceeded, codes.DeadlineExceeded},
		{context.Canceled, codes.Canceled},
		{errors.New("x"), codes.Internal},
		{status.Error(codes.NotFound, "says the guest"), codes.Internal},
		{fmt.Errorf("agent: %w", status.Error(codes.FailedPrecondition, "x")), codes.FailedPrecondition},
		{fmt.Errorf("%w: %w", podsandbox.ErrState, podsandbox.ErrNotFound), codes.FailedPrecondition},
	} {
		if got := status.Code(toWire(tc.err)); got != tc.want {
			t.Errorf("%v: %v, want %v", tc.err, got, tc.want)
		}
	}
}

func TestPanicIsInternal(t *testing.T) {
	h := newHarness(t, testConfig())
	_, c := h.runPod(goodContainer())
	h.rt.execSync = func(context.Context, []string, time.Duration) ([]byte, []byte, int32, error) { panic("bug") }
	_, err := h.pods.ExecSync(testContext(t), &rt.ExecSyncRequest{ContainerId: c, Cmd: []string{"x"}})
	if status.Code(err) != codes.Internal {
		t.Errorf("%v", err)
	}
}

func TestExecSync(t *testing.T) {
	h := newHarness(t, testConfig())
	_, c := h.runPod(goodContainer())
	h.rt.execSync = func(_ context.Context, cmd []string, timeout time.Duration) ([]byte, []byte, int32, error) {
		switch cmd[0] {
		case "slow":
			return nil, nil, 0, fmt.Errorf("after %v: %w", timeout, podsandbox.ErrTimeout)
		case "loud":
			return make([]byte, 16<<20), make([]byte, 16<<20), 0, nil
		}
		return []byte("out"), []byte("err"), 3, nil
	}
	ctx := testContext(t)
	resp, err := h.pods.ExecSync(ctx, &rt.ExecSyncRequest{ContainerId: c, Cmd: []string{"x"}})
	if err != nil || string(resp.Stdout) != "out" || string(resp.Stderr) != "err" || resp.ExitCode != 3 {
		t.Errorf("%v, %v", resp, err)
	}
	_, err = h.pods.ExecSync(ctx, &rt.ExecSyncRequest{ContainerId: c, Cmd: []string{"slow"}, Timeout: 1})
	if status.Code(err) != codes.DeadlineExceeded || !strings.Contains(err.Error(), "timeout 1s exceeded") {
		t.Errorf("%v", err)
	}
	resp, err = h.pods.ExecSync(ctx, &rt.ExecSyncRequest{ContainerId: c, Cmd: []string{"loud"}})
	if err != nil || len(resp.Stdout) < 7<<20 || len(resp.Stderr) < 7<<20 {
		t.Errorf("%d, %d, %v", len(resp.GetStdout()), len(resp.GetStderr()), err)
	}
}

func TestEvents(t *testing.T) {
	h := newHarness(t, testConfig())
	sb, c := h.runPod(goodContainer())
	stream, err := h.pods.GetContainerEvents(testContext(t), &rt.GetEventsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Header(); err != nil {
		t.Fatal(err)
	}
	sandbox, _ := h.rt.Sandbox(sb)
	h.rt.publish(podsandbox.Event{Kind: podsandbox.EventStarted, Time: time.Unix(5, 0), ContainerID: c, SandboxID: sb, Sandbox: &sandbox, Containers: h.rt.Containers()})
	e, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if e.ContainerId != c || e.ContainerEventType != rt.ContainerEventType_CONTAINER_STARTED_EVENT || e.CreatedAt != 5e9 ||
		e.PodSandboxStatus.Id != sb || len(e.ContainersStatuses) != 1 {
		t.Errorf("%v", e)
	}
	if err := h.stop(); err != nil { // an open stream must not hold the server up
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("at the end: %v", err)
	}
}

func TestUpdateContainer(t *testing.T) {
	h := newHarness(t, testConfig())
	_, c := h.runPod(goodContainer())
	_, err := h.pods.UpdateContainerResources(testContext(t), &rt.UpdateContainerResourcesRequest{ContainerId: c, Linux: &rt.LinuxContainerResources{CpuShares: 99}})
	if err != nil || h.rt.updated.CPUShares != 99 {
		t.Errorf("%+v, %v", h.rt.updated, err)
	}
}

func TestUpdateSandbox(t *testing.T) {
	h := newHarness(t, testConfig())
	ctx := testContext(t)
	sb, _ := h.runPod(goodContainer())
	update := &rt.UpdatePodSandboxResourcesRequest{PodSandboxId: sb[:8], Resources: &rt.LinuxContainerResources{MemoryLimitInBytes: 5 << 20, CpuQuota: -1}}
	if _, err := h.pods.UpdatePodSandboxResources(ctx, update); err != nil {
		t.Fatal(err)
	}
	if got := h.rt.updatedPod; got.Overhead != nil || got.Resources.MemoryLimit != 5<<20 || got.Resources.CPUQuota != -1 {
		t.Errorf("%+v", got)
	}
	st, err := h.pods.PodSandboxStatus(ctx, &rt.PodSandboxStatusRequest{PodSandboxId: sb, Verbose: true})
	if err != nil || !strings.Contains(st.Info["config"], `"MemoryLimit":5242880`) {
		t.Errorf("status %v, %v", st, err)
	}
	if _, err := h.pods.StopPodSandbox(ctx, &rt.StopPodSandboxRequest{PodSandboxId: sb}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.pods.UpdatePodSandboxResources(ctx, update); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("of a stopped pod: %v", err)
	}
}

func TestSignals(t *testing.T) {
	for n, name := range rt.Signal_name {
		s := rt.Signal(n)
		if got := criSignal(signalName(s)); got != s {
			t.Errorf("%s comes back as %s", name, got)
		}
	}
	for in, want := range map[string]rt.Signal{
		"15": rt.Signal_SIGNAL_SIGTERM, "term": rt.Signal_SIGNAL_SIGTERM, "37": rt.Signal_SIGNAL_SIGRTMINPLUS3,
		"63": rt.Signal_SIGNAL_SIGRTMAXMINUS1, "nonsense": 0, "-1": 0, "99": 0, "": 0,
	} {
		if got := criSignal(in); got != want {
			t.Errorf("%q is %s, want %s", in, got, want)
		}
	}
}
