package tests

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/e2e/checkout"
	"github.com/paddock-run/paddock/e2e/images"
)

// TestINotify edits a volume on the host, as an editor and kubelet do: a watcher in the
// container is told what was done. A pod that wants no notices gets none.
func TestINotify(t *testing.T) {
	dir := hostDir(t, map[string]string{"file": "one\n", "..1/key": "first\n"})
	if err := os.Symlink("..1", filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	root, err := checkout.Root()
	if err != nil {
		t.Fatal(err)
	}
	binary, err := images.BuildProgram(filepath.Join(root, "e2e"), "./cmd/watchdir")
	if err != nil {
		t.Fatal(err)
	}
	program := hostDir(t, map[string]string{"watchdir": string(binary)})
	if err := os.Chmod(filepath.Join(program, "watchdir"), 0o755); err != nil {
		t.Fatal(err)
	}
	named := func(name string, annotations map[string]string) *pod {
		return runPod(t, func(cfg *runtimeapi.PodSandboxConfig) {
			forPrivileged(cfg)
			cfg.Metadata.Name, cfg.Metadata.Uid, cfg.Annotations = name, name, annotations
		})
	}
	watcher := func(p *pod, path string, withData func(*runtimeapi.ContainerConfig)) *container {
		c := p.run("watcher", "exec /program/watchdir "+path, func(cfg *runtimeapi.ContainerConfig) {
			withData(cfg)
			cfg.Mounts = append(cfg.Mounts, mount(program, "/program", true))
		})
		c.waitForLog("ready")
		return c
	}
	plain := func(cfg *runtimeapi.ContainerConfig) { cfg.Mounts = []*runtimeapi.Mount{mount(dir, "/data", true)} }
	on := watcher(named("told", nil), "/data", plain)
	off := watcher(named("not-told", map[string]string{"paddock.run/change-notices": "false"}), "/data", plain)
	both := watcher(named("both-ways", nil), "/out", bidirectional(dir))
	writeFile(t, filepath.Join(dir, "file"), "two\n")
	writeFile(t, filepath.Join(dir, ".file.new"), "three\n")
	steps := []error{
		os.Rename(filepath.Join(dir, ".file.new"), filepath.Join(dir, "file")),
		os.Chmod(filepath.Join(dir, "file"), 0o600),
		os.Mkdir(filepath.Join(dir, "..2"), 0o755),
		os.Symlink("..2", filepath.Join(dir, "..data_tmp")),
		os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")),
		os.Remove(filepath.Join(dir, "file")),
	}
	for _, err := range steps {
		if err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		"modify file", "close file", "create .file.new", "modify .file.new", "close .file.new", "from .file.new", "to file",
		"attrib file", "create ..2", "create ..data_tmp", "from ..data_tmp", "to ..data", "delete file",
	}
	for name, c := range map[string]*container{"told": on, "told, of a Bidirectional mount": both} {
		var got []string
		eventually(t, "the last event", func() bool {
			got = events(t, c)
			return len(got) > 0 && got[len(got)-1] == "delete file"
		})
		got = slices.Compact(got) // equal events in a row may be one or two
		if strings.Join(got, ", ") != strings.Join(want, ", ") {
			t.Errorf("%s: events %q\nwant   %q", name, got, want)
		}
	}
	if got := events(t, off); len(got) > 0 {
		t.Errorf("the pod without notices has events %q", got)
	}
}

// events are what watchdir has printed.
func events(t *testing.T, c *container) (all []string) {
	t.Helper()
	log, err := os.ReadFile(c.logFile())
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(log)) {
		_, text, _ := strings.Cut(line, " stdout F ")
		if text = strings.TrimSpace(text); text != "" && text != "ready" {
			all = append(all, text)
		}
	}
	return all
}
