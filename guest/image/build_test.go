package image

import (
	"bytes"
	"context"
	"debug/elf"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cavaliergopher/cpio"
	"github.com/klauspost/compress/zstd"
)

// TestBuild makes the image twice from real packages and wants the same bytes,
// under the size it may have, with all in it that a guest needs.
func TestBuild(t *testing.T) {
	if testing.Short() {
		t.Skip("downloads packages from Debian")
	}
	if _, err := os.Stat("/usr/share/keyrings/debian-archive-keyring.gpg"); err != nil {
		t.Skip("needs Debian's archive keyring: apt-get install debian-archive-keyring")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("\x7fELF not really"), 0o755); err != nil {
		t.Fatal(err)
	}
	build := func() (Manifest, string) {
		out := t.TempDir()
		m, err := Build(ctx, Options{
			Out: out, Cache: "../../.cache/guest", Agent: program, Crun: program,
			Mirror: "http://deb.debian.org", Log: testWriter{t},
		})
		if err != nil {
			t.Fatal(err)
		}
		return m, out
	}
	first, dir := build()
	_, again := build()
	for _, f := range first.Files {
		sameFile(t, filepath.Join(dir, f.Name), filepath.Join(again, f.Name))
	}
	sameFile(t, filepath.Join(dir, ManifestFile), filepath.Join(again, ManifestFile))
	checkSize(t, first)
	checkKernel(t, filepath.Join(dir, ELFKernelFile))
	checkInitrd(t, filepath.Join(dir, InitrdFile))
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

func sameFile(t *testing.T, a, b string) {
	t.Helper()
	x, err := os.ReadFile(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := os.ReadFile(b)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(x, y) {
		t.Errorf("%s differs between two builds from the same inputs", filepath.Base(a))
	}
}

// checkSize leaves 6 MB for the agent and crun, which are a few bytes here.
func checkSize(t *testing.T, m Manifest) {
	t.Helper()
	var total int64
	for _, f := range m.Files {
		if f.Name == KernelFile || f.Name == InitrdFile {
			total += f.Bytes
		}
	}
	if total > 19e6 {
		t.Errorf("kernel and initrd take %d bytes without the programs, want at most 19 MB", total)
	}
}

func checkKernel(t *testing.T, path string) {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_NOTE {
			return // the note that carries the PVH entry point
		}
	}
	t.Errorf("%s has no notes: a hypervisor cannot enter it directly", path)
}

func checkInitrd(t *testing.T, path string) {
	t.Helper()
	files := readInitrd(t, path)
	for _, name := range []string{"init", "usr/bin/crun", "usr/sbin/modprobe", "dev/console"} {
		if _, ok := files[name]; !ok {
			t.Errorf("initrd lacks %s", name)
		}
	}
	for list, want := range map[string]string{
		"etc/paddock/modules":        "virtio_scsi.ko",
		"etc/paddock/modules.hyperv": "hv_sock.ko",
	} {
		text := files[list]
		if !strings.Contains(text, want) {
			t.Errorf("%s does not list %s:\n%s", list, want, text)
		}
		for _, p := range strings.Fields(text) {
			if _, ok := files[strings.TrimPrefix(p, "/")]; !ok {
				t.Errorf("%s lists %s, which the initrd lacks", list, p)
			}
		}
	}
	order := files["etc/paddock/modules"]
	if strings.Index(order, "/virtio_ring.ko") > strings.Index(order, "/virtio_pci.ko") {
		t.Errorf("virtio_pci precedes virtio_ring, which it needs:\n%s", order)
	}
	if strings.Contains(files["etc/paddock/modules"], "/hv_") {
		t.Error("Hyper-V modules are loaded on every hypervisor")
	}
	if list := files["etc/paddock/modules.hyperv"]; strings.Contains(list, "virtio") || !strings.Contains(list, "/overlay.ko") || !strings.Contains(list, "/vsock.ko") {
		t.Errorf("under Hyper-V are loaded: %s", list)
	}
}

func readInitrd(t *testing.T, path string) map[string]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	files := map[string]string{}
	for r := cpio.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = string(b)
	}
}
