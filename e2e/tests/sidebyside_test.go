package tests

import (
	"net"
	"net/url"
	"strings"
	"testing"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/e2e/criclient"
)

// imagesNamed are the listed images that a reference means, by handler.
func imagesNamed(t *testing.T, ref string) map[string]*runtimeapi.Image {
	t.Helper()
	list, err := env.client.Images.ListImages(t.Context(), &runtimeapi.ListImagesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]*runtimeapi.Image{}
	for _, img := range list.GetImages() {
		for _, tag := range img.GetRepoTags() {
			if tag == ref {
				found[img.GetSpec().GetRuntimeHandler()] = img
			}
		}
	}
	return found
}

// TestBothPlatformsOfOneReference runs a Linux and a Windows pod of one image
// name at once, has each call the other, and removes the image.
func TestBothPlatformsOfOneReference(t *testing.T) {
	linuxPod := runPod(t, nil)
	windowsPod := runPodBy(t, wcow, func(cfg *runtimeapi.PodSandboxConfig) {
		cfg.Metadata.Name, cfg.Metadata.Uid, cfg.Hostname = "windows-side", "uid-windows-side", "windows-side"
	})
	// As kubelet does: by the handler for one, by the pod's annotation for the other.
	for _, r := range []*runtimeapi.PullImageRequest{
		{Image: &runtimeapi.ImageSpec{Image: everywhere, RuntimeHandler: "lcow"}},
		{Image: &runtimeapi.ImageSpec{Image: everywhere}, SandboxConfig: &runtimeapi.PodSandboxConfig{
			Metadata: windowsPod.config.Metadata, Annotations: map[string]string{"io.containerd.cri.runtime-handler": wcow}}},
	} {
		if _, err := env.client.Images.PullImage(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	pulled[everywhere], pulledForWindows[everywhere] = true, true
	images := imagesNamed(t, everywhere)
	if len(images) != 2 || images[""].GetId() == images[wcow].GetId() {
		t.Errorf("images of the reference: %v", images)
	}

	linux := linuxPod.create(criclient.ContainerConfig("web", everywhere), nil)
	linux.start()
	windows := windowsPod.create(windowsContainer("web", everywhere), nil)
	windows.start()
	if l, w := linux.status(), windows.status(); l.GetImageId() == w.GetImageId() || l.GetImage().GetImage() != w.GetImage().GetImage() {
		t.Errorf("images %s and %s", l.GetImageId(), w.GetImageId())
	}
	linuxIP, _ := linuxPod.addresses()
	windowsIP, _ := windowsPod.addresses()
	for ip, want := range map[string]string{linuxIP: "hello from testbothplatforms", windowsIP: "hello from windows-side"} {
		if got := get(t, "http://"+net.JoinHostPort(ip, "8080")); !strings.HasPrefix(got, want) {
			t.Errorf("%s answers %q, want %q", ip, got, want)
		}
	}
	client := linuxPod.run("client", "exec sleep 1000", nil)
	if got := client.exec("wget -q -O - http://" + windowsIP + ":8080"); !strings.HasPrefix(got, "hello from windows-side") {
		t.Errorf("Linux pod to Windows pod: %q", got)
	}
	probe := windowsPod.create(windowsContainer("probe", winprobe), func(cfg *runtimeapi.ContainerConfig) {
		cfg.Envs = []*runtimeapi.KeyValue{{Key: "PROBE_ADDRESS", Value: ":8090"}}
	})
	probe.start()
	got := get(t, "http://"+net.JoinHostPort(windowsIP, "8090")+"/fetch?url="+url.QueryEscape("http://"+net.JoinHostPort(linuxIP, "8080")))
	if !strings.HasPrefix(got, "hello from testbothplatforms") {
		t.Errorf("Windows pod to Linux pod: %q", got)
	}

	if err := pullFor(t, busybox, wcow); err == nil || !strings.Contains(err.Error(), "linux/amd64") || !strings.Contains(err.Error(), "linux/arm64") {
		t.Errorf("an image without Windows: %v; want an error that names its platforms", err)
	}
	if err := pullFor(t, winprobe, "lcow"); err == nil || !strings.Contains(err.Error(), "windows/amd64 (10.0.20348.2700)") {
		t.Errorf("an image without Linux: %v; want an error that names its platform", err)
	}
	if _, err := env.client.Images.RemoveImage(t.Context(), &runtimeapi.RemoveImageRequest{Image: &runtimeapi.ImageSpec{Image: everywhere}}); err != nil {
		t.Fatal(err)
	}
	if images := imagesNamed(t, everywhere); len(images) != 0 {
		t.Errorf("after its removal: %v", images)
	}
	delete(pulled, everywhere)
	delete(pulled, web) // it is the same Linux image, which goes with all its names
	delete(pulledForWindows, everywhere)
}
