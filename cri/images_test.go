package cri

import (
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	rt "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/imageservice"
)

func bothHandlers() Config {
	cfg := testConfig()
	cfg.Handlers = []guest.Handler{guest.LCOW, guest.WCOW}
	return cfg
}

func TestImageLife(t *testing.T) {
	h := newHarness(t, testConfig())
	ctx := testContext(t)
	spec := &rt.ImageSpec{Image: "example.org/app:1"}
	st, err := h.images.ImageStatus(ctx, &rt.ImageStatusRequest{Image: spec})
	if err != nil || st.Image != nil {
		t.Fatalf("absent: %v, %v", st, err)
	}
	h.img.user = "1001:0"
	pulled, err := h.images.PullImage(ctx, &rt.PullImageRequest{Image: spec, Auth: &rt.AuthConfig{Username: "u", Password: "p"}})
	if err != nil || h.img.auth.Username != "u" {
		t.Fatal(err)
	}
	st, err = h.images.ImageStatus(ctx, &rt.ImageStatusRequest{Image: spec, Verbose: true})
	if err != nil || st.Image.Id != pulled.ImageRef || st.Image.Uid.GetValue() != 1001 || st.Image.Username != "" || st.Info["info"] == "" {
		t.Fatalf("%v, %v", st, err)
	}
	list, err := h.images.ListImages(ctx, &rt.ListImagesRequest{Filter: &rt.ImageFilter{Image: spec}})
	if err != nil || len(list.Images) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	fs, err := h.images.ImageFsInfo(ctx, &rt.ImageFsInfoRequest{})
	if err != nil || fs.ImageFilesystems[0].UsedBytes.Value != 1000 || fs.ImageFilesystems[0].FsId.Mountpoint == "" {
		t.Fatalf("%v, %v", fs, err)
	}
	for range 2 {
		if _, err := h.images.RemoveImage(ctx, &rt.RemoveImageRequest{Image: spec}); err != nil {
			t.Fatal(err)
		}
	}
	list, err = h.images.ListImages(ctx, &rt.ListImagesRequest{})
	if err != nil || len(list.Images) != 0 {
		t.Fatalf("%v, %v", list, err)
	}
}

func TestImagePlatformFollowsTheHandler(t *testing.T) {
	h := newHarness(t, bothHandlers())
	ctx := testContext(t)
	win := map[string]string{"io.containerd.cri.runtime-handler": "wcow"}
	for i, tc := range []struct {
		req *rt.PullImageRequest
		os  string
	}{
		{&rt.PullImageRequest{}, "linux"},
		{&rt.PullImageRequest{Image: &rt.ImageSpec{RuntimeHandler: "wcow"}}, "windows"},
		{&rt.PullImageRequest{SandboxConfig: &rt.PodSandboxConfig{Annotations: win}}, "windows"},
		{&rt.PullImageRequest{Image: &rt.ImageSpec{Annotations: win}}, "windows"},
		{&rt.PullImageRequest{Image: &rt.ImageSpec{RuntimeHandler: "lcow"}, SandboxConfig: &rt.PodSandboxConfig{Annotations: win}}, "linux"},
		{&rt.PullImageRequest{SandboxConfig: &rt.PodSandboxConfig{Annotations: map[string]string{"paddock.dev/runtime-handler": "wcow"}}}, "windows"},
	} {
		if tc.req.Image == nil {
			tc.req.Image = &rt.ImageSpec{}
		}
		tc.req.Image.Image = fmt.Sprintf("img%d", i)
		resp, err := h.images.PullImage(ctx, tc.req)
		if want := "sha256:" + tc.req.Image.Image + "-" + tc.os; err != nil || resp.ImageRef != want {
			t.Errorf("%v: %v, %v", tc.req, resp, err)
		}
	}
	// A Windows image alone does not satisfy a Linux pod, but its id names it.
	st, err := h.images.ImageStatus(ctx, &rt.ImageStatusRequest{Image: &rt.ImageSpec{Image: "img1"}})
	if err != nil || st.Image != nil {
		t.Errorf("%v, %v", st, err)
	}
	st, err = h.images.ImageStatus(ctx, &rt.ImageStatusRequest{Image: &rt.ImageSpec{Image: "sha256:img1-windows"}})
	if err != nil || st.Image.GetSpec().GetRuntimeHandler() != "wcow" {
		t.Errorf("%v, %v", st, err)
	}
}

func TestPullErrors(t *testing.T) {
	h := newHarness(t, testConfig())
	for _, tc := range []struct {
		err  error
		auth *rt.AuthConfig
		code codes.Code
		text string
	}{
		{imageservice.ErrUnavailable, nil, codes.Unknown, "RegistryUnavailable: registry unavailable"},
		{imageservice.ErrUnauthorized, nil, codes.Unauthenticated, ""},
		{imageservice.ErrUnauthorized, &rt.AuthConfig{Username: "u"}, codes.PermissionDenied, ""},
		{imageservice.ErrNoSpace, nil, codes.ResourceExhausted, ""},
		{imageservice.ErrNotFound, nil, codes.NotFound, ""},
		{imageservice.ErrCorrupt, nil, codes.DataLoss, ""},
	} {
		h.img.fail = tc.err
		_, err := h.images.PullImage(testContext(t), &rt.PullImageRequest{Image: &rt.ImageSpec{Image: "a"}, Auth: tc.auth})
		if status.Code(err) != tc.code || tc.text != "" && status.Convert(err).Message() != tc.text {
			t.Errorf("%v: %v", tc.err, err)
		}
	}
}

func TestImageUser(t *testing.T) {
	for in, want := range map[string]string{"": "", "app": "app", "app:grp": "app", "0": "#0", "12:3": "#12", ":5": ""} {
		uid, name := imageUser(in)
		got := name
		if uid != nil {
			got = fmt.Sprintf("#%d", uid.Value)
		}
		if got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
