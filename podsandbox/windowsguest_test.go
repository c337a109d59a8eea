package podsandbox

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paddock-run/paddock/guest"
	guestapi "github.com/paddock-run/paddock/guest/api"
)

// windowsWorld is a node whose Windows pods have Windows guests.
func windowsWorld(t *testing.T) *world {
	w := newWorld(t)
	w.m.Close()
	w.base, w.images.folders, w.images.build = "models", true, "10.0.20348.1"
	w.pool = PoolConfig{Min: 1, Max: 1}
	w.start()
	return w
}

func (w *world) windowsPod() string {
	w.t.Helper()
	cfg := w.sandboxConfig("win")
	cfg.Handler = guest.WCOW
	id, err := w.m.RunSandbox(w.t.Context(), cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

func TestWindowsGuest(t *testing.T) {
	w := windowsWorld(t)
	pod := w.windowsPod()
	if n := w.shares.count(); n > 1 { // that of the pool's base
		t.Errorf("%d share servers", n)
	}
	data := t.TempDir()
	file := filepath.Join(data, "hosts")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := containerConfig("c")
	cfg.Mounts = []Mount{
		{ContainerPath: `C:\data`, HostPath: data}, {ContainerPath: `C:\ro`, HostPath: data, ReadOnly: true},
		{ContainerPath: `C:\Windows\System32\drivers\etc\hosts`, HostPath: file},
		{ContainerPath: `C:\cache`, HostPath: filepath.Join(t.TempDir(), "pods/win-uid/volumes/kubernetes.io~empty-dir/cache")},
	}
	id, err := w.m.CreateContainer(t.Context(), pod, cfg)
	if err != nil {
		t.Fatal(err)
	}
	req := w.agent(pod).Container(id).Request
	if req.Windows.GetWine() != nil || req.Windows.GetScratch() == nil || len(req.Layers) != 2 || req.Layers[0].FsType != "" {
		t.Errorf("the guest was asked for %v", req)
	}
	mounts := map[string]*guestapi.Mount{}
	for _, m := range req.Mounts {
		mounts[m.Destination] = m
		if m.LinuxPath || m.GetShare() != nil || m.GetSandboxFile() != 0 {
			t.Errorf("a mount that Windows cannot have: %v", m)
		}
	}
	rw, ro := mounts["C:/data"].GetDisk(), mounts["C:/ro"].GetDisk()
	if rw == nil || ro == nil || rw.Disk.Lun == ro.Disk.Lun || mounts["C:/cache"].GetScratch().GetName() != "emptydir/cache" || mounts["C:/Windows/System32/drivers/etc/hosts"].GetDisk() == nil {
		t.Errorf("mounts: %v", mounts)
	}
	c, err := w.m.container(id)
	if err != nil {
		t.Fatal(err)
	}
	scratch := ownScratch(c)
	if b, err := os.ReadFile(scratch); err != nil || string(b) != "blank" {
		t.Errorf("the container's disk: %q, %v", b, err)
	}
	w.restart()
	if err := w.m.RemoveContainer(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(scratch); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the container's disk stays: %v", err)
	}
	if err := w.m.RemoveSandbox(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
}

// Windows takes more of its VM than our guest does.
func TestWindowsGuestsOverhead(t *testing.T) {
	w := windowsWorld(t)
	cfg := w.sandboxConfig("size")
	cfg.Resources.MemoryLimit = 1 << 30
	linux := w.m.bootSize(&cfg).MemoryBytes
	cfg.Handler = guest.WCOW
	if got := w.m.bootSize(&cfg).MemoryBytes; got != linux+windowsOverhead {
		t.Errorf("a Windows VM has %d bytes, a Linux one %d", got, linux)
	}
}

// What fails half-way leaves nothing, and what cannot be had is refused by what to do instead.
func TestWindowsGuestRefusals(t *testing.T) {
	w := windowsWorld(t)
	pod := w.windowsPod()
	w.setFail("CreateContainer", errors.New("no"))
	if _, err := w.m.CreateContainer(t.Context(), pod, containerConfig("c")); err == nil {
		t.Error("made what the guest refused")
	}
	if left, err := filepath.Glob(filepath.Join(w.m.sandboxDir(pod), "*.vhdx")); err != nil || len(left) > 0 {
		t.Errorf("left: %q, %v", left, err)
	}
	w.setFail("CreateContainer", nil)
	cfg := containerConfig("image")
	cfg.Mounts = []Mount{{ContainerPath: `C:\models`, Image: "models"}}
	if _, err := w.m.CreateContainer(t.Context(), pod, cfg); !errors.Is(err, ErrUnsupported) || !errors.Is(err, ErrImageVolume) {
		t.Errorf("an image volume: %v", err)
	}
	w.base = "busybox"
	w.restart()
	if _, err := w.m.CreateContainer(t.Context(), pod, containerConfig("same")); err != nil {
		t.Errorf("the same build: %v", err)
	}
	for version, fits := range map[string]bool{"10.0.20348.999": true, "10.0.17763.1": false, "": true} {
		k := &containerMake{m: w.m, windows: &guestapi.WindowsContainer{}}
		k.image.Platform.OSVersion = version
		err := k.checkBuild(t.Context())
		if fits != (err == nil) || err != nil && (!errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "10.0.20348")) {
			t.Errorf("an image of build %q: %v", version, err)
		}
	}
}
