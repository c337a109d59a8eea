package cri

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	rt "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/imageservice"
	"github.com/paddock-run/paddock/podsandbox"
)

func withImageVolume() *rt.ContainerConfig {
	cfg := goodContainer()
	cfg.Mounts = append(cfg.Mounts, &rt.Mount{
		ContainerPath: "/models", Readonly: true, ImageSubPath: "weights/./small",
		Image: &rt.ImageSpec{Image: "sha256:cc", UserSpecifiedImage: "example.org/models:1", RuntimeHandler: "lcow", Annotations: map[string]string{"a": "b"}},
	})
	return cfg
}

func TestImageVolumeStatus(t *testing.T) {
	h := newHarness(t, testConfig())
	cfg := withImageVolume()
	_, c := h.runPod(cfg)
	h.rt.containers[c].MountImages = map[string]string{"/models": "example.org/models@sha256:dd"}
	resp, err := h.pods.ContainerStatus(testContext(t), &rt.ContainerStatusRequest{ContainerId: c, Verbose: true})
	if err != nil {
		t.Fatal(err)
	}
	want := cfg.Mounts[1]
	want.Image.ImageRef = "example.org/models@sha256:dd"
	if got := resp.Status.Mounts; len(got) != 2 || !proto.Equal(got[1], want) || got[0].Image != nil {
		t.Errorf("mounts %v, want %v", got, want)
	}
}

func TestImageVolumeErrors(t *testing.T) {
	for _, tc := range []struct {
		cause error
		code  codes.Code
	}{
		{fmt.Errorf("%w: %w", podsandbox.ErrNotFound, imageservice.ErrNotFound), codes.NotFound},
		{podsandbox.ErrInvalid, codes.InvalidArgument},
		{imageservice.ErrNoSpace, codes.ResourceExhausted},
	} {
		h := newHarness(t, testConfig())
		sb, _ := h.runPod(goodContainer())
		h.rt.fail = fmt.Errorf("create container app: %w: mount /models: %w", podsandbox.ErrImageVolume, tc.cause)
		_, err := h.pods.CreateContainer(testContext(t), &rt.CreateContainerRequest{PodSandboxId: sb, Config: withImageVolume()})
		if st := status.Convert(err); st.Code() != tc.code || !strings.HasPrefix(st.Message(), "ImageVolumeMountFailed: ") {
			t.Errorf("%v: %v", tc.cause, err)
		}
	}
}
