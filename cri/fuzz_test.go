package cri

import (
	"context"
	"testing"

	"google.golang.org/protobuf/proto"
	rt "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/imageservice"
)

// fuzzTarget unmarshals bytes into one RPC's request and calls it.
func fuzzTarget[Req proto.Message, Resp any](newReq func() Req, call func(context.Context, Req) (Resp, error)) func(context.Context, []byte) {
	return func(ctx context.Context, data []byte) {
		req := newReq()
		if proto.Unmarshal(data, req) != nil {
			return
		}
		_, _ = call(ctx, req)
	}
}

func fuzzTargets(s *Server) []func(context.Context, []byte) {
	return []func(context.Context, []byte){
		fuzzTarget(func() *rt.RunPodSandboxRequest { return &rt.RunPodSandboxRequest{} }, s.RunPodSandbox),
		fuzzTarget(func() *rt.CreateContainerRequest { return &rt.CreateContainerRequest{} }, s.CreateContainer),
		fuzzTarget(func() *rt.StopPodSandboxRequest { return &rt.StopPodSandboxRequest{} }, s.StopPodSandbox),
		fuzzTarget(func() *rt.PodSandboxStatusRequest { return &rt.PodSandboxStatusRequest{} }, s.PodSandboxStatus),
		fuzzTarget(func() *rt.ListPodSandboxRequest { return &rt.ListPodSandboxRequest{} }, s.ListPodSandbox),
		fuzzTarget(func() *rt.ListContainersRequest { return &rt.ListContainersRequest{} }, s.ListContainers),
		fuzzTarget(func() *rt.ContainerStatusRequest { return &rt.ContainerStatusRequest{} }, s.ContainerStatus),
		fuzzTarget(func() *rt.StopContainerRequest { return &rt.StopContainerRequest{} }, s.StopContainer),
		fuzzTarget(func() *rt.UpdateContainerResourcesRequest { return &rt.UpdateContainerResourcesRequest{} }, s.UpdateContainerResources),
		fuzzTarget(func() *rt.ExecSyncRequest { return &rt.ExecSyncRequest{} }, s.ExecSync),
		fuzzTarget(func() *rt.ExecRequest { return &rt.ExecRequest{} }, s.Exec),
		fuzzTarget(func() *rt.AttachRequest { return &rt.AttachRequest{} }, s.Attach),
		fuzzTarget(func() *rt.PortForwardRequest { return &rt.PortForwardRequest{} }, s.PortForward),
		fuzzTarget(func() *rt.ListContainerStatsRequest { return &rt.ListContainerStatsRequest{} }, s.ListContainerStats),
		fuzzTarget(func() *rt.UpdateRuntimeConfigRequest { return &rt.UpdateRuntimeConfigRequest{} }, s.UpdateRuntimeConfig),
		fuzzTarget(func() *rt.PullImageRequest { return &rt.PullImageRequest{} }, s.PullImage),
		fuzzTarget(func() *rt.ImageStatusRequest { return &rt.ImageStatusRequest{} }, s.ImageStatus),
		fuzzTarget(func() *rt.ListImagesRequest { return &rt.ListImagesRequest{} }, s.ListImages),
		fuzzTarget(func() *rt.RemoveImageRequest { return &rt.RemoveImageRequest{} }, s.RemoveImage),
	}
}

// FuzzRequests throws any bytes that are a request at the server: nothing may panic.
func FuzzRequests(f *testing.F) {
	rtFake, imgFake := newFakeRuntime(), newFakeImages()
	s, err := New(testConfig(), rtFake, imgFake)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { s.Close() })
	targets := fuzzTargets(s)
	for i, m := range []proto.Message{
		&rt.RunPodSandboxRequest{Config: goodSandbox()},
		&rt.CreateContainerRequest{PodSandboxId: "0", Config: goodContainer()},
		&rt.ExecRequest{ContainerId: "0", Cmd: []string{"x"}, Stdout: true},
		&rt.PullImageRequest{Image: &rt.ImageSpec{Image: "a"}},
	} {
		data, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		for n := range targets {
			f.Add(uint8(n), data)
			f.Add(uint8(n), data[:len(data)*(i+1)/5])
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		rtFake.mu.Lock()
		clear(rtFake.sandboxes)
		clear(rtFake.containers)
		rtFake.mu.Unlock()
		imgFake.mu.Lock()
		imgFake.images = map[string]imageservice.Image{}
		imgFake.mu.Unlock()
		ctx := context.Background()
		if _, err := s.RunPodSandbox(ctx, &rt.RunPodSandboxRequest{Config: goodSandbox()}); err != nil {
			t.Fatal(err)
		}
		targets[int(which)%len(targets)](ctx, data)
	})
}

// FuzzSPDYWatch feeds frames that a client made up.
func FuzzSPDYWatch(f *testing.F) {
	f.Add([]byte{0x80, 3, 0, 7, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0}, 3)
	f.Add([]byte{0, 0, 0, 1, 0, 0xff, 0xff, 0xff}, 1)
	f.Fuzz(func(_ *testing.T, data []byte, at int) {
		w := &goAwayWatch{cancel: func() {}}
		at = min(max(at, 0), len(data))
		w.observe(data[:at])
		w.observe(data[at:])
	})
}
