package windows

import (
	"archive/tar"
	"bytes"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// pushBusybox serves an image of this machine's static busybox, and returns its reference.
func pushBusybox(t *testing.T) string {
	t.Helper()
	program, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Fatal(err)
	}
	var entries []entry
	for _, dir := range []string{"bin", "etc", "tmp", "www"} {
		entries = append(entries, entry{tar.Header{Name: dir + "/", Typeflag: tar.TypeDir, Mode: 0o755}, nil})
	}
	entries = append(entries, entry{tar.Header{Name: "bin/busybox", Typeflag: tar.TypeReg, Mode: 0o755}, program})
	for _, applet := range strings.Fields("sh echo cat ls sleep uname id df httpd") {
		entries = append(entries, entry{tar.Header{Name: "bin/" + applet, Typeflag: tar.TypeSymlink, Linkname: "busybox"}, nil})
	}
	return push(t, "busybox:1", v1.ConfigFile{OS: "linux", Config: v1.Config{Env: []string{"PATH=/bin"}, Cmd: []string{"sh"}}}, entries)
}

// pushWindows serves an image that has what a Windows VM boots from, as far as the stand-in looks.
func pushWindows(t *testing.T) string {
	t.Helper()
	base := []entry{
		{tar.Header{Name: "Files/License.txt", Typeflag: tar.TypeReg, Mode: 0o644}, []byte("x")},
		{tar.Header{Name: "UtilityVM/Files/EFI/Microsoft/Boot/bootmgfw.efi", Typeflag: tar.TypeReg, Mode: 0o644}, []byte("x")},
	}
	top := []entry{{tar.Header{Name: "Files/App/app.exe", Typeflag: tar.TypeReg, Mode: 0o644}, []byte("x")}}
	return push(t, "windows:1", v1.ConfigFile{OS: "windows", OSVersion: "10.0.17763.6414", Config: v1.Config{Cmd: []string{"wait"}}}, base, top)
}

type entry struct {
	header  tar.Header
	content []byte
}

// push serves an image of layers, and returns its reference.
func push(t *testing.T, tag string, config v1.ConfigFile, layers ...[]entry) string {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	image := empty.Image
	for _, entries := range layers {
		var err error
		if image, err = mutate.Append(image, mutate.Addendum{Layer: layerOf(t, entries)}); err != nil {
			t.Fatal(err)
		}
	}
	file, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	file.OS, file.OSVersion, file.Architecture, file.Config = config.OS, config.OSVersion, "amd64", config.Config
	if image, err = mutate.ConfigFile(image, file); err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(strings.TrimPrefix(server.URL, "http://")+"/"+tag, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, image); err != nil {
		t.Fatal(err)
	}
	return ref.String()
}

func layerOf(t *testing.T, entries []entry) v1.Layer {
	t.Helper()
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	for _, e := range entries {
		e.header.Size = int64(len(e.content))
		if err := w.WriteHeader(&e.header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(e.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return static.NewLayer(layer.Bytes(), types.DockerUncompressedLayer)
}
