package tests

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// imageMount mounts an image, or a folder of it, as kubelet asks for it.
func imageMount(image, subPath, inside string) *runtimeapi.Mount {
	return &runtimeapi.Mount{
		Image: &runtimeapi.ImageSpec{Image: image}, ImageSubPath: subPath, ContainerPath: inside, Readonly: true,
	}
}

// imageStatus pulls an image if need be and tells of it.
func imageStatus(t *testing.T, ref string) *runtimeapi.Image {
	t.Helper()
	ensureImage(t, ref)
	resp, err := env.client.Images.ImageStatus(t.Context(), &runtimeapi.ImageStatusRequest{Image: &runtimeapi.ImageSpec{Image: ref}})
	if err != nil || resp.GetImage() == nil {
		t.Fatalf("status of %s: %v, %v", ref, resp, err)
	}
	return resp.GetImage()
}

// removeImage removes an image, which need not be there.
func removeImage(t *testing.T, ref string) {
	t.Helper()
	if _, err := env.client.Images.RemoveImage(t.Context(), &runtimeapi.RemoveImageRequest{Image: &runtimeapi.ImageSpec{Image: ref}}); err != nil {
		t.Fatal(err)
	}
	delete(pulled, ref)
}

// layerDisks are the unpacked layers on the node.
func layerDisks(t *testing.T) []string {
	t.Helper()
	disks, err := filepath.Glob(filepath.Join(env.root, "d", "data", "images", "layers", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return disks
}

// TestImageVolume reads images of one and of many layers, whole and in part.
func TestImageVolume(t *testing.T) {
	many, one := imageStatus(t, layered), imageStatus(t, files)
	p := runPod(t, nil)
	c := p.run("main", "exec sleep 1000", func(cfg *runtimeapi.ContainerConfig) {
		cfg.Mounts = []*runtimeapi.Mount{
			imageMount(many.Id, "", "/many"), imageMount(layered, "a", "/part"),
			imageMount(one.Id, "", "/one"), imageMount(one.Id, "latest", "/one-latest"),
		}
	})
	for script, want := range map[string]string{
		"ls /many/a":                     "kept\nkept-too\nreplaced", // a layer above deleted one
		"cat /many/a/replaced":           "new",
		"ls /many/covered":               "above",
		"ls /part":                       "kept\nkept-too\nreplaced",
		"/many/bin/busybox echo runs":    "runs",
		"ls /one":                        "README\nlatest\nmodels\nout",
		"cat /one/models/small/weights":  "small weights",
		"cat /one-latest/weights":        "large weights", // through a link within the image
		"cat /one/README > /etc/changed": "",
	} {
		if got := c.exec(script); got != want {
			t.Errorf("%s: %q, want %q", script, got, want)
		}
	}
	for script, want := range map[string]string{
		"echo x > /many/a/replaced":      "Read-only file system",
		"rm /one/README":                 "Read-only file system",
		"touch /one-latest/new":          "Read-only file system",
		"ls /many/lost+found":            "No such file",
		"mount -o remount,rw /many && :": "permission denied",
	} {
		if resp := c.execSync(script); resp.GetExitCode() == 0 || !strings.Contains(string(resp.GetStderr()), want) {
			t.Errorf("%s: exit code %d, %s%s; want %s", script, resp.GetExitCode(), resp.GetStdout(), resp.GetStderr(), want)
		}
	}
	for _, m := range c.status().GetMounts() {
		asked := c.config.GetMounts()[slices.IndexFunc(c.config.GetMounts(), func(a *runtimeapi.Mount) bool { return a.GetContainerPath() == m.GetContainerPath() })]
		digest := many.GetRepoDigests()[0]
		if strings.HasPrefix(m.GetContainerPath(), "/one") {
			digest = one.GetRepoDigests()[0]
		}
		if m.GetImage().GetImage() != asked.GetImage().GetImage() || m.GetImageSubPath() != asked.GetImageSubPath() || m.GetImage().GetImageRef() != digest {
			t.Errorf("status tells of %s: %v; want image %s, digest %s", m.GetContainerPath(), m, asked.GetImage().GetImage(), digest)
		}
	}
}

// TestImageVolumeErrors wants each error to have kubelet's name for it, and nothing to be left of the container.
func TestImageVolumeErrors(t *testing.T) {
	ensureImage(t, files)
	ensureImage(t, busybox)
	p := runPod(t, nil)
	for _, c := range []struct {
		mount *runtimeapi.Mount
		code  codes.Code
		text  string
	}{
		{imageMount(host+"/not-pulled:1", "", "/v"), codes.NotFound, "not-pulled:1"},
		{imageMount(files, "no/such", "/v"), codes.InvalidArgument, `no folder "no/such"`},
		{imageMount(files, "README", "/v"), codes.InvalidArgument, "not a directory"},
		{imageMount(files, "out/apk", "/v"), codes.InvalidArgument, `no folder "out/apk"`}, // a link out of the image
	} {
		cfg := shell("main", "exec sleep 1000")
		cfg.Mounts = []*runtimeapi.Mount{c.mount}
		_, err := env.client.Runtime.CreateContainer(t.Context(), &runtimeapi.CreateContainerRequest{PodSandboxId: p.id, Config: cfg, SandboxConfig: p.config})
		st := status.Convert(err)
		if st.Code() != c.code || !strings.HasPrefix(st.Message(), "ImageVolumeMountFailed") || !strings.Contains(st.Message(), c.text) || !strings.Contains(st.Message(), "/v") {
			t.Errorf("%v: %v; want code %v and %q", c.mount, err, c.code, c.text)
		}
	}
	p.run("main", "exec sleep 1000", nil) // the name is free
}

// TestImageVolumeOutlivesItsImage removes an image that is mounted and kills the
// daemon: the content stays until its last container is gone, and goes then.
func TestImageVolumeOutlivesItsImage(t *testing.T) {
	removeImage(t, files)
	before := layerDisks(t)
	id := imageStatus(t, files).GetId()
	p := runPod(t, nil)
	with := func(cfg *runtimeapi.ContainerConfig) { cfg.Mounts = []*runtimeapi.Mount{imageMount(id, "", "/v")} }
	one := p.run("one", "exec sleep 1000", with)
	two := p.run("two", "exec sleep 1000", with)
	digest := one.status().GetMounts()[0].GetImage().GetImageRef()
	removeImage(t, files)
	if err := env.daemon.Kill(); err != nil {
		t.Fatal(err)
	}
	restart(t)
	if list := crictlOut(t, "images", "-q"); strings.Contains(list, id) {
		t.Errorf("the image is still listed:\n%s", list)
	}
	crictlOut(t, "rm", "-f", one.id)
	if got := two.exec("cat /v/models/large/weights"); got != "large weights" {
		t.Errorf("read %q", got)
	}
	if got := two.status().GetMounts()[0].GetImage().GetImageRef(); got != digest || !strings.Contains(got, "@sha256:") {
		t.Errorf("digest %q, before the restart %q", got, digest)
	}
	if n := len(layerDisks(t)); n != len(before)+1 {
		t.Errorf("%d layer disks, want %d", n, len(before)+1)
	}
	crictlOut(t, "rm", "-f", two.id)
	if after := layerDisks(t); !slices.Equal(after, before) {
		t.Errorf("layer disks %v, before %v", after, before)
	}
}

// TestImageVolumeKilledMidway kills the daemon while it makes a container with
// an image volume: what was half made is gone after the restart.
func TestImageVolumeKilledMidway(t *testing.T) {
	removeImage(t, files)
	before := layerDisks(t)
	ensureImage(t, busybox)
	p := runPod(t, nil)
	for _, delay := range []time.Duration{5, 30, 80, 150} {
		ensureImage(t, files)
		ctx, cancel := context.WithTimeout(t.Context(), stepTimeout)
		cfg := shell("main", "exec sleep 1000")
		cfg.Mounts = []*runtimeapi.Mount{imageMount(files, "models/small", "/v")}
		done := make(chan error, 1)
		go func() {
			_, err := env.client.Runtime.CreateContainer(ctx, &runtimeapi.CreateContainerRequest{PodSandboxId: p.id, Config: cfg, SandboxConfig: p.config})
			done <- err
		}()
		time.Sleep(delay * time.Millisecond)
		if err := env.daemon.Kill(); err != nil {
			t.Fatal(err)
		}
		<-done
		cancel()
		restart(t)
		removeImage(t, files)
		if left := crictlOut(t, "ps", "-aq", "--pod", p.id); left != "" { // it was whole already
			crictlOut(t, "rm", "-f", left)
		}
		if after := layerDisks(t); len(after) > len(before) {
			t.Errorf("after %d ms: layer disks %v, before %v", delay, after, before)
		}
	}
	ensureImage(t, files)
	c := p.run("main", "exec sleep 1000", func(cfg *runtimeapi.ContainerConfig) {
		cfg.Mounts = []*runtimeapi.Mount{imageMount(files, "models/small", "/v")}
	})
	if got := c.exec("cat /v/weights"); got != "small weights" {
		t.Errorf("read %q", got)
	}
}
