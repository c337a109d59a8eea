package tests

import (
	"strings"
	"testing"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func TestImages(t *testing.T) {
	crictlOut(t, "pull", busybox)
	pulled[busybox] = true
	list := crictlOut(t, "images")
	if !strings.Contains(list, "paddock.test/busybox") {
		t.Errorf("list lacks the image:\n%s", list)
	}
	status := crictlOut(t, "inspecti", busybox)
	if !strings.Contains(status, "sha256:") {
		t.Errorf("status names no digest:\n%s", status)
	}
	if out := crictlOut(t, "imagefsinfo"); !strings.Contains(out, "usedBytes") {
		t.Errorf("imagefsinfo: %s", out)
	}
}

func TestImageErrors(t *testing.T) {
	for ref, want := range map[string]string{
		host + "/nosuch:1":       "nosuch",
		host + "/busybox:nosuch": "nosuch",
		"Not A Reference":        "",
		host + "/busybox@sha256:" + strings.Repeat("0", 64): "",
	} {
		err := crictlErr(t, "pull", ref)
		if !strings.Contains(err.Error(), want) {
			t.Errorf("pull %s: %v; want an error that names %q", ref, err, want)
		}
	}
}

func TestRemoveImage(t *testing.T) {
	crictlOut(t, "pull", layered)
	crictlOut(t, "rmi", layered)
	delete(pulled, layered)
	if list := crictlOut(t, "images"); strings.Contains(list, "paddock.test/layered") {
		t.Errorf("still listed after its removal:\n%s", list)
	}
	crictlOut(t, "pull", layered)
	pulled[layered] = true
}

// TestPinnedImage wants the pin told, so that kubelet spares the image, and an explicit removal obeyed.
func TestPinnedImage(t *testing.T) {
	for ref, want := range map[string]bool{pinned: true, files: false} {
		image := imageStatus(t, ref)
		if image.GetPinned() != want {
			t.Errorf("status of %s: pinned %t, want %t", ref, image.GetPinned(), want)
		}
		list, err := env.client.Images.ListImages(t.Context(), &runtimeapi.ListImagesRequest{Filter: &runtimeapi.ImageFilter{Image: &runtimeapi.ImageSpec{Image: ref}}})
		if err != nil || len(list.GetImages()) != 1 || list.GetImages()[0].GetPinned() != want {
			t.Errorf("list of %s: %v, %v; want pinned %t", ref, list, err, want)
		}
	}
	removeImage(t, pinned)
	if list := crictlOut(t, "images"); strings.Contains(list, "paddock.test/pinned") {
		t.Errorf("still listed after its removal:\n%s", list)
	}
}

// TestContainerImage wants every call to name a container's image alike.
func TestContainerImage(t *testing.T) {
	image := imageStatus(t, busybox)
	ref, err := env.client.Pull(t.Context(), busybox)
	if err != nil {
		t.Fatal(err)
	}
	p := runPod(t, nil)
	c := p.create(shell("main", "true"), nil)
	st := c.status()
	list, err := env.client.Runtime.ListContainers(t.Context(), &runtimeapi.ListContainersRequest{Filter: &runtimeapi.ContainerFilter{Id: c.id}})
	if err != nil || len(list.GetContainers()) != 1 {
		t.Fatal(list, err)
	}
	listed := list.GetContainers()[0]
	if st.GetImageId() != image.GetId() || listed.GetImageId() != image.GetId() || ref != image.GetId() {
		t.Errorf("image ids: pull %s, image %s, status %s, list %s", ref, image.GetId(), st.GetImageId(), listed.GetImageId())
	}
	if digest := image.GetRepoDigests()[0]; st.GetImageRef() != digest || listed.GetImageRef() != digest {
		t.Errorf("image refs: status %s, list %s; want %s", st.GetImageRef(), listed.GetImageRef(), digest)
	}
	if st.GetImage().GetImage() != busybox {
		t.Errorf("image %v, asked for %s", st.GetImage(), busybox)
	}
}
