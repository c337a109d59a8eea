package podsandbox

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/network"
	"github.com/paddock-run/paddock/network/networktest"
	"github.com/paddock-run/paddock/podsandbox/guesttest"
	"github.com/paddock-run/paddock/podsandbox/vm"
	"github.com/paddock-run/paddock/podsandbox/vm/vmtest"
)

// world is a node around a Manager: what outlives it, and the present one.
type world struct {
	t       *testing.T
	dir     string
	vms     *vmtest.Fake
	network *tapNetwork
	images  *fakeImages
	shares  *fakeShares
	pool    PoolConfig
	cdiDirs []string
	base    string // the image that VMs of Windows pods boot from
	m       *Manager

	plugins Hooks // of the next Manager

	mu     sync.Mutex
	fail   map[string]error  // by step
	hooks  map[string]func() // by step
	agents map[string]*guesttest.Agent
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), vms: vmtest.NewFake(), fail: map[string]error{}, hooks: map[string]func(){}, agents: map[string]*guesttest.Agent{}}
	w.network = &tapNetwork{Fake: &networktest.Fake{OnSetup: func(network.Request) error { return w.failing("network") }}}
	w.images = &fakeImages{dir: t.TempDir(), fail: w.failing, leases: map[string]bool{}}
	w.shares = &fakeShares{fail: w.failing, servers: map[string]*fakeServer{}}
	w.vms.OnCreate(func(context.Context, vm.Config) error { return w.failing("vm") })
	w.vms.Boot(func(g *vmtest.Guest) error {
		a, err := guesttest.Boot(g, w.failing)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.agents[g.ID()] = a
		return err
	})
	w.start()
	t.Cleanup(func() { w.m.Close() })
	return w
}

// newPoolWorld is a world whose Manager makes bases ahead.
func newPoolWorld(t *testing.T, pool PoolConfig) *world {
	w := newWorld(t)
	w.m.Close()
	w.pool = pool
	w.start()
	return w
}

// start makes a Manager over what is there; restart ends the present one first.
func (w *world) start() {
	w.t.Helper()
	var err error
	w.m, err = New(context.Background(), Config{
		Root: filepath.Join(w.dir, "root"), StateDir: filepath.Join(w.dir, "run"), Pool: w.pool, CDISpecDirs: w.cdiDirs, WindowsBaseImage: w.base,
	},
		Deps{VMs: w.vms.Reopen(), Network: w.network, Images: w.images, Shares: w.shares, Scratch: fakeScratch{w.failing}, Hooks: w.plugins})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) restart() {
	w.t.Helper()
	w.m.Close()
	w.start()
}

func (w *world) failing(step string) error {
	w.mu.Lock()
	hook, err := w.hooks[step], w.fail[step]
	w.mu.Unlock()
	if hook != nil {
		hook()
	}
	return err
}

// onStep has a step call hook first.
func (w *world) onStep(step string, hook func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hooks[step] = hook
}

func (w *world) setFail(step string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fail[step] = err
}

func (w *world) agent(sandbox string) *guesttest.Agent {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.agents[sandbox[:vmIDLength]]
}

func (w *world) sandboxConfig(name string) SandboxConfig {
	return SandboxConfig{Meta: Meta{Name: name, UID: name + "-uid", Namespace: "default"}, Handler: guest.LCOW,
		LogDirectory: filepath.Join(w.dir, "logs", name), DNS: &network.DNS{Servers: []string{"10.0.0.1"}}}
}

func containerConfig(name string) ContainerConfig {
	return ContainerConfig{Meta: ContainerMeta{Name: name}, Image: "busybox", LogPath: name + "/0.log", Stdin: true}
}

func (w *world) run(name string) string {
	w.t.Helper()
	id, err := w.m.RunSandbox(w.t.Context(), w.sandboxConfig(name))
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

func (w *world) create(sandbox, name string) string {
	w.t.Helper()
	id, err := w.m.CreateContainer(w.t.Context(), sandbox, containerConfig(name))
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

func (w *world) started(sandbox, name string) string {
	w.t.Helper()
	id := w.create(sandbox, name)
	if err := w.m.StartContainer(w.t.Context(), id); err != nil {
		w.t.Fatal(err)
	}
	return id
}

// await waits until a container is in a state.
func (w *world) await(id string, state ContainerStateKind) ContainerStatus {
	w.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		s, err := w.m.Container(id)
		if err != nil {
			w.t.Fatal(err)
		}
		if s.State == state {
			return s
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("container is %v, not %v: %s %s", s.State, state, s.Reason, s.Message)
		}
		time.Sleep(time.Millisecond)
	}
}

// eventually waits until f says true.
func (w *world) eventually(what string, f func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("not in time: %s", what)
		}
	}
}

// logLines are the payloads of a container's log.
func (w *world) logLines(id string) []string {
	w.t.Helper()
	s, err := w.m.Container(id)
	if err != nil {
		w.t.Fatal(err)
	}
	data, err := os.ReadFile(s.LogPath)
	if err != nil {
		w.t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(data)) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 4)
		lines = append(lines, strings.Join(fields[1:], " "))
	}
	return lines
}

// nothingLeft fails the test if anything of a sandbox is left but, if some were kept, containers of other sandboxes.
func (w *world) nothingLeft() {
	w.t.Helper()
	ctx := w.t.Context()
	if n := w.network.open(); n > 0 {
		w.t.Errorf("%d taps left open", n)
	}
	for what, list := range map[string]func(context.Context) ([]string, error){
		"VMs": w.vms.List, "networks": w.network.List, "share servers": w.shares.List, "image leases": w.images.LeaseOwners,
		"sandbox folders": w.m.listSandboxDirs, "log records": w.m.listLogRecords,
	} {
		if ids, err := list(ctx); err != nil || len(ids) > 0 {
			w.t.Errorf("%s left: %v, %v", what, ids, err)
		}
	}
	sandboxes, err := w.m.sandboxRec.All()
	containers, err2 := w.m.ctrRec.All()
	if err := errors.Join(err, err2); err != nil || len(sandboxes)+len(containers) > 0 {
		w.t.Errorf("records left: %d sandboxes, %d containers, %v", len(sandboxes), len(containers), err)
	}
	if len(w.m.Sandboxes())+len(w.m.Containers())+len(w.m.names) > 0 {
		w.t.Errorf("left in memory: %v %v %v", w.m.Sandboxes(), w.m.Containers(), w.m.names)
	}
}
