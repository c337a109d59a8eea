package qemu_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/podsandbox/vm"
	"github.com/paddock-run/paddock/podsandbox/vm/qemu"
)

var linuxVM = vm.Config{GuestOS: guest.Linux}

// warmHost is a Host with a template, kept in dir.
func warmHost(t *testing.T, dir string) *qemu.Host {
	t.Helper()
	cfg := newConfig(t)
	cfg.NoTemplates, cfg.TemplateDir = false, dir
	h := newHost(t, cfg)
	t.Cleanup(func() { h.Close() })
	if err := h.Warm(t.Context(), linuxVM); err != nil {
		t.Fatal(err)
	}
	return h
}

// isClone looks at the VM's command line.
func isClone(t *testing.T, v *qemu.VM) bool {
	t.Helper()
	line, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(v.PID()), "cmdline"))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Contains(line, []byte("\x00-incoming\x00"))
}

func TestTemplateIsKeptAndDamageIsNoticed(t *testing.T) {
	dir := t.TempDir()
	warmHost(t, dir).Close()
	kept := files(t, dir)
	if len(kept) != 3 {
		t.Fatalf("kept %v, want memory, state and digests of one template", kept)
	}
	was := stat(t, kept[0])
	warmHost(t, dir).Close()
	if again := files(t, dir); !slices.Equal(again, kept) || !stat(t, kept[0]).ModTime().Equal(was.ModTime()) {
		t.Errorf("a kept template was made anew: %v, then %v", kept, again)
	}
	for _, name := range []string{"memory", "state", "digests.json"} {
		i := slices.IndexFunc(kept, func(f string) bool { return filepath.Base(f) == name })
		damage(t, kept[i])
		bad, err := os.ReadFile(kept[i])
		if err != nil {
			t.Fatal(err)
		}
		h := warmHost(t, dir)
		if v := boot(t, h, "after-damage"); !isClone(t, v) {
			t.Errorf("damaged %s: the next VM boots", name)
		}
		h.Close()
		if now, err := os.ReadFile(kept[i]); err != nil || bytes.Equal(now, bad) {
			t.Errorf("damaged %s: still there (%v)", name, err)
		}
	}
}

func TestCloneThatFailsBoots(t *testing.T) {
	h := warmHost(t, t.TempDir())
	if err := h.BreakTemplates(); err != nil {
		t.Fatal(err)
	}
	v := boot(t, h, "falls-back")
	if isClone(t, v) {
		t.Error("cloned from a template without state")
	}
	if err := h.Warm(t.Context(), linuxVM); err != nil {
		t.Fatalf("the template was not made anew: %v", err)
	}
	if v := boot(t, h, "again"); !isClone(t, v) {
		t.Error("boots, although there is a template again")
	}
}

func TestTemplateCannotBeWritten(t *testing.T) {
	h := warmHost(t, "")
	for _, f := range h.TemplateFiles() {
		file, err := os.OpenFile(f, os.O_RDWR, 0)
		if err != nil {
			continue // cannot even be opened so
		}
		if _, err := file.WriteAt([]byte("x"), 0); !errors.Is(err, os.ErrPermission) {
			t.Errorf("write to %s: %v, want a refusal", f, err)
		}
		if err := file.Truncate(0); !errors.Is(err, os.ErrPermission) {
			t.Errorf("truncate %s: %v, want a refusal", f, err)
		}
		file.Close()
	}
}

func TestTemplatesOfOtherInputsAreSwept(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, strings.Repeat("ab", 32))
	if err := os.MkdirAll(stale, 0o700); err != nil {
		t.Fatal(err)
	}
	warmHost(t, dir)
	if _, err := os.Stat(stale); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a template of other inputs stays: %v", err)
	}
}

func TestClosingWhileATemplateIsMadeLeavesNothing(t *testing.T) {
	cfg := newConfig(t)
	cfg.NoTemplates = false
	h := newHost(t, cfg)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := h.Warm(ctx, linuxVM); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("warm: %v", err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if left := left(t, cfg.StateDir, cfg.StateDir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func BenchmarkClone(b *testing.B) {
	cfg := newConfig(b)
	cfg.NoTemplates = false
	h := newHost(b, cfg)
	defer h.Close()
	if err := h.Warm(b.Context(), linuxVM); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		v, err := h.Create(b.Context(), vm.Config{ID: "clone", GuestOS: guest.Linux})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := errors.Join(v.Terminate(b.Context()), v.Close(), v.Release()); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func stat(t *testing.T, file string) os.FileInfo {
	t.Helper()
	st, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// damage flips a byte in the first data of a file.
func damage(t *testing.T, file string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(data, func(b byte) bool { return b != 0 })
	data[i] ^= 0xff
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
