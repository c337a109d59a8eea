package tests

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/containerd/nri/pkg/api"

	"github.com/paddock-run/paddock/e2e/checkout"
)

// nriRecord is what the plugin writes of one event.
type nriRecord struct {
	Event            string
	Pod              *api.PodSandbox
	Container        *api.Container
	Pods             []*api.PodSandbox
	Containers       []*api.Container
	Resources        *api.LinuxResources
	Runtime, Version string
}

// nriPlugin is a running plugin: e2e/cmd/nriplugin.
type nriPlugin struct {
	t    *testing.T
	file string
}

// buildPlugin builds the plugin once.
var buildPlugin = sync.OnceValues(func() (string, error) {
	root, err := checkout.Root()
	if err != nil {
		return "", err
	}
	path := filepath.Join(env.root, "nriplugin")
	cmd := exec.Command("go", "build", "-o", path, "./cmd/nriplugin")
	cmd.Dir, cmd.Env = filepath.Join(root, "e2e"), append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	return path, cmd.Run()
})

// connectPlugin starts a plugin that connects, and waits until it was told what there is. It ends with the test.
func connectPlugin(t *testing.T, index string) *nriPlugin {
	t.Helper()
	exe, err := buildPlugin()
	if err != nil {
		t.Fatal(err)
	}
	p := &nriPlugin{t: t, file: filepath.Join(t.TempDir(), "events")}
	var out bytes.Buffer
	cmd := exec.Command(exe, "-socket", env.daemon.NRISocket(), "-index", index, "-events", p.file)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("plugin: %s", out.String())
		}
	})
	p.await("Synchronize", "")
	return p
}

// records are all so far.
func (p *nriPlugin) records() []nriRecord {
	p.t.Helper()
	text, err := os.ReadFile(p.file)
	if err != nil && !os.IsNotExist(err) {
		p.t.Fatal(err)
	}
	var all []nriRecord
	lines := bytes.Split(text, []byte("\n"))
	for _, line := range lines[:len(lines)-1] { // what is after the last line's end is not complete
		var r nriRecord
		if err := json.Unmarshal(line, &r); err != nil {
			p.t.Fatalf("record %q: %v", line, err)
		}
		all = append(all, r)
	}
	return all
}

// events are the names of what was told of a pod or container, in order.
func (p *nriPlugin) events(id string) []string {
	var names []string
	for _, r := range p.records() {
		if r.about(id) {
			names = append(names, r.Event)
		}
	}
	return names
}

func (r *nriRecord) about(id string) bool {
	if r.Container != nil {
		return r.Container.Id == id
	}
	return r.Pod != nil && r.Pod.Id == id
}

// await waits for an event of a pod or container ("": of none) and returns its last record.
func (p *nriPlugin) await(event, id string) nriRecord {
	p.t.Helper()
	var found nriRecord
	eventually(p.t, "plugin is told "+event+" "+id, func() bool {
		all := p.records()
		for _, r := range slices.Backward(all) {
			if r.Event == event && (id == "" || r.about(id)) {
				found = r
				return true
			}
		}
		return false
	})
	return found
}

// count is how often an event was told.
func (p *nriPlugin) count(event string) int {
	n := 0
	for _, r := range p.records() {
		if r.Event == event {
			n++
		}
	}
	return n
}
