package podsandbox

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	guestapi "github.com/paddock-run/paddock/guest/api"
)

func TestEmptyDirLimits(t *testing.T) {
	for text, want := range map[string]string{
		"":                    "map[]",
		"cache=1Gi":           "map[cache:1073741824]",
		"cache=1Gi, tmp=64Mi": "map[cache:1073741824 tmp:67108864]",
	} {
		if got, err := emptyDirLimits(text); err != nil || fmt.Sprint(got) != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"cache", "=1Gi", "cache=", "cache=lots", "cache=1Mi", "cache=-1Gi", "cache=1Ei", "a=1Gi,a=2Gi", "a=1Gi,"} {
		if got, err := emptyDirLimits(text); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

func TestParseMountInfo(t *testing.T) {
	disk := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(disk, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	info := func(device string) []byte {
		return fmt.Appendf(nil, `{"volume-type":"block","device":%q,"fstype":"ext4","options":["ro"]}`, device)
	}
	if d, err := parseMountInfo(info(disk)); err != nil || !d.ReadOnly || d.fsType != "ext4" || d.subpath != "" || d.make {
		t.Errorf("%+v, %v", d, err)
	}
	for _, text := range []string{
		`not json`,
		`{"volume-type":"spdkvol","device":"/dev/null","fstype":"ext4"}`,
		`{"volume-type":"block","device":"/dev/null","fstype":"xfs"}`,
		`{"volume-type":"block","device":"null","fstype":"ext4"}`,
		`{"volume-type":"block","device":"/dev/null","fstype":"ext4","options":["data=writeback"]}`,
		`{"volume-type":"block","device":"/dev/null","fstype":"ext4","metadata":{"fsGroup":"1000"}}`,
	} {
		if d, err := parseMountInfo([]byte(text)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %+v, %v", text, d, err)
		}
	}
	if _, err := parseMountInfo(info(disk + "s")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a device that is not there: %v", err)
	}
}

// TestVolumeDisks: an emptyDir with a limit and a volume marked as a disk are
// attached once for all containers of the pod, and let go of with the last.
func TestVolumeDisks(t *testing.T) {
	w := newWorld(t)
	marks := t.TempDir()
	w.m.cfg.DirectVolumeDirs = []string{marks}
	volume, disk := filepath.Join(w.dir, "pvc", "mount"), filepath.Join(w.dir, "disk.raw")
	mark := filepath.Join(marks, base64.URLEncoding.EncodeToString([]byte(volume)))
	empty := filepath.Join(w.dir, "pods/a-uid/volumes/kubernetes.io~empty-dir/cache")
	for _, dir := range []string{mark, volume, empty} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(empty, 0o777); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{
		filepath.Join(mark, "mountInfo.json"): fmt.Sprintf(`{"volume-type":"block","device":%q,"fstype":"ext4"}`, disk), disk: "a disk",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pod := w.sandboxConfig("a")
	pod.Annotations = map[string]string{AnnotationEmptyDirSizeLimits: "cache=8Mi"}
	id, err := w.m.RunSandbox(t.Context(), pod)
	if err != nil {
		t.Fatal(err)
	}
	var containers []string
	addresses := map[string]map[string]bool{}
	for _, name := range []string{"one", "two"} {
		cfg := containerConfig(name)
		cfg.Mounts = []Mount{{ContainerPath: "/cache", HostPath: empty}, {ContainerPath: "/pv", HostPath: volume, ReadOnly: name == "one"}}
		c, err := w.m.CreateContainer(t.Context(), id, cfg)
		if err != nil {
			t.Fatal(err)
		}
		containers = append(containers, c)
		for _, m := range w.agent(id).Container(c).Request.Mounts {
			source, ok := m.Source.(*guestapi.Mount_Disk)
			if !ok {
				continue
			}
			if m.Destination == "/cache" && !emptyDirDisks {
				t.Errorf("this host has no disks for emptyDirs; %s is %v", m.Destination, source.Disk)
			}
			if addresses[m.Destination] == nil {
				addresses[m.Destination] = map[string]bool{}
			}
			addresses[m.Destination][fmt.Sprint(source.Disk)] = true
			if want := map[string]string{"/cache": "data", "/pv": ""}[m.Destination]; source.Disk.Subpath != want || source.Disk.FsType != "ext4" {
				t.Errorf("%s is %v", m.Destination, source.Disk)
			}
		}
	}
	if !emptyDirDisks {
		addresses["/cache"] = map[string]bool{"": true}
	}
	if len(addresses) != 2 || len(addresses["/cache"]) != 1 || len(addresses["/pv"]) != 1 {
		t.Errorf("disks: %v", addresses)
	}
	info, err := os.Stat(filepath.Join(empty, emptyDirDisk))
	if emptyDirDisks && (err != nil || info.Size() != 8<<20) || !emptyDirDisks && !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the emptyDir's disk: %v, %v", info, err)
	}
	s, err := w.m.sandbox(id)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range containers {
		if err := w.m.RemoveContainer(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		_, attached := s.disks.entries[disk]
		if want := i == 0; attached != want {
			t.Errorf("after %d containers were removed the disk is attached: %v", i+1, attached)
		}
	}
}
