package vhdx

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// QEMU's own driver finds no fault and reads back what was written.
func TestQEMUReadsIt(t *testing.T) {
	qemu, err := exec.LookPath("qemu-img")
	if err != nil {
		t.Skip("qemu-img is not installed")
	}
	content := make([]byte, 5*BlockSize+12345)
	copy(content[10:], "first")
	copy(content[3*BlockSize-3:], "across a border")
	copy(content[len(content)-4:], "last")
	for _, size := range []int64{8 << 20, 10 << 30, 5 << 40} {
		path := filepath.Join(t.TempDir(), "disk.vhdx")
		if err := Create(t.Context(), path, size, bytes.NewReader(content)); err != nil {
			t.Fatal(err)
		}
		if st, err := os.Stat(path); err != nil || st.Size() > 60<<20 {
			t.Errorf("a nearly empty disk of %d bytes takes %d", size, st.Size())
		}
		if out, err := exec.Command(qemu, "check", "-f", "vhdx", path).CombinedOutput(); err != nil {
			t.Errorf("check: %v: %s", err, out)
		}
		if out, err := exec.Command(qemu, "info", "-f", "vhdx", path).CombinedOutput(); err != nil || !strings.Contains(string(out), "bytes") {
			t.Errorf("info: %v: %s", err, out)
		}
		if size > 1<<30 {
			continue
		}
		raw := path + ".raw"
		if out, err := exec.Command(qemu, "convert", "-f", "vhdx", "-O", "raw", path, raw).CombinedOutput(); err != nil {
			t.Fatalf("convert: %v: %s", err, out)
		}
		got, err := os.ReadFile(raw)
		if err != nil || int64(len(got)) != size || !bytes.Equal(got[:len(content)], content) || !isZero(got[len(content)/8*8+8:]) {
			t.Errorf("%d bytes read back differ from what was written (%v)", len(got), err)
		}
	}
}

func TestBadDisks(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx     context.Context
		size    int64
		content string
	}{
		"no size":      {t.Context(), 0, ""},
		"odd size":     {t.Context(), 4097, ""},
		"too large":    {t.Context(), MaxSize + 4096, ""},
		"does not fit": {t.Context(), 4096, strings.Repeat("x", 4097)},
		"cancelled":    {cancelled, 4096, "x"},
	} {
		path := filepath.Join(t.TempDir(), "disk.vhdx")
		if err := Create(c.ctx, path, c.size, strings.NewReader(c.content)); err == nil {
			t.Errorf("%s: no error", name)
		}
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: a file is left", name)
		}
	}
}
