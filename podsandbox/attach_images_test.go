package podsandbox

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	guestapi "github.com/paddock-run/paddock/guest/api"
)

// TestImageVolumes mounts images whose layers the container has too: each layer
// is attached once, and let go of when the last of its users is.
func TestImageVolumes(t *testing.T) {
	w := newWorld(t)
	pod := w.run("a")
	cfg := containerConfig("c")
	cfg.Mounts = []Mount{
		{ContainerPath: "/models", Image: "models", SubPath: "small", ReadOnly: true, Options: []string{"noexec"}},
		{ContainerPath: "/again", Image: "sha256:3", ReadOnly: true},
	}
	id, err := w.m.CreateContainer(t.Context(), pod, cfg)
	if err != nil {
		t.Fatal(err)
	}
	request := w.agent(pod).Container(id).Request
	for _, m := range request.Mounts {
		switch m.Destination {
		case "/models":
			if i := m.GetImage(); len(i.GetLayers()) != 2 || i.Subpath != "small" || !m.ReadOnly || m.Options[0] != "noexec" {
				t.Errorf("mount %v", m)
			}
			if m.GetImage().Layers[0].Disk.Lun != request.Layers[0].Disk.Lun {
				t.Errorf("the shared layer is attached twice: %v and %v", m, request.Layers)
			}
		case "/again":
			if m.GetImage().Subpath != "" {
				t.Errorf("mount %v", m)
			}
		}
	}
	st, _ := w.m.Container(id)
	if st.MountImages["/models"] != "models@sha256:4" || st.MountImages["/again"] != "models@sha256:4" {
		t.Errorf("images of mounts: %v", st.MountImages)
	}
	disks := func() int { return len(w.vms.Disks(pod[:vmIDLength])) }
	if n := disks(); n != 4 { // scratch, and three layers of two images
		t.Errorf("%d disks", n)
	}
	w.restart()
	if st, _ := w.m.Container(id); st.MountImages["/models"] != "models@sha256:4" {
		t.Errorf("after a restart: %v", st.MountImages)
	}
	other := w.create(pod, "other") // shares layers with both
	if err := w.m.RemoveContainer(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if n := disks(); n != 3 {
		t.Errorf("%d disks when the volumes' container is gone", n)
	}
	if err := w.m.RemoveContainer(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if n := disks(); n != 1 {
		t.Errorf("%d disks at the end", n)
	}
	if err := w.m.RemoveSandbox(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	w.nothingLeft()
}

func TestImageVolumeFails(t *testing.T) {
	marked, _ := status.New(codes.InvalidArgument, `mount /m: no folder "x"`).WithDetails(&guestapi.ImageVolumeError{Destination: "/m"})
	for _, c := range []struct {
		name, image, step string
		cause, want       error
	}{
		{"not pulled", "nosuch", "", nil, ErrNotFound},
		{"layers", "models", "Layers models", errors.New("no"), nil},
		{"guest", "models", "CreateContainer", marked.Err(), ErrInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			pod := w.run("a")
			w.setFail(c.step, c.cause)
			cfg := containerConfig("c")
			cfg.Mounts = []Mount{{ContainerPath: "/m", Image: c.image, ReadOnly: true}}
			_, err := w.m.CreateContainer(t.Context(), pod, cfg)
			if !errors.Is(err, ErrImageVolume) || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), "/m") {
				t.Errorf("error %v, want one of image volumes and %v", err, c.want)
			}
			if err := w.m.RemoveSandbox(t.Context(), pod); err != nil {
				t.Fatal(err)
			}
			w.nothingLeft()
		})
	}
}
