package nri

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/stub"
	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/proto"

	"github.com/paddock-run/paddock/podsandbox"
)

// asker is a plugin that asks for changes of its own accord, in the middle of an event.
type asker struct {
	*view
	stub   stub.Stub
	failed []*api.ContainerUpdate
	err    error
}

func (p *asker) StartContainer(ctx context.Context, pod *api.PodSandbox, c *api.Container) error {
	update := func(id string, bytes int64, ignore bool) *api.ContainerUpdate {
		u := &api.ContainerUpdate{ContainerId: id, IgnoreFailure: ignore}
		u.SetLinuxMemoryLimit(bytes)
		return u
	}
	p.failed, p.err = p.stub.UpdateContainers([]*api.ContainerUpdate{
		update("good", 64, false), update("bad", 13, false), update("ignored", 13, true), update("unknown", 64, false),
	})
	return p.view.StartContainer(ctx, pod, c)
}

// UpdateContainer changes the container's update, and another container.
func (p *asker) UpdateContainer(_ context.Context, _ *api.PodSandbox, c *api.Container, r *api.LinuxResources) ([]*api.ContainerUpdate, error) {
	own, other := &api.ContainerUpdate{ContainerId: c.Id}, &api.ContainerUpdate{ContainerId: "good"}
	own.SetLinuxMemoryLimit(r.Memory.Limit.GetValue() + 1)
	other.SetLinuxCPUShares(5)
	return []*api.ContainerUpdate{own, other}, nil
}

// withEvictions has a plugin ask for the end of containers, which the stub has no call for.
func withEvictions(id string) stub.Option {
	evict := []*api.ContainerEviction{{ContainerId: id, Reason: "test"}}
	return stub.WithTTRPCOptions(
		[]ttrpc.ClientOpts{ttrpc.WithUnaryClientInterceptor(func(ctx context.Context, q *ttrpc.Request, p *ttrpc.Response, _ *ttrpc.UnaryClientInfo, invoke ttrpc.Invoker) error {
			if q.Method == "UpdateContainers" {
				var update api.UpdateContainersRequest
				if err := proto.Unmarshal(q.Payload, &update); err != nil {
					return err
				}
				update.Evict = evict
				var err error
				if q.Payload, err = proto.Marshal(&update); err != nil {
					return err
				}
			}
			return invoke(ctx, q, p)
		})},
		[]ttrpc.ServerOpt{ttrpc.WithUnaryServerInterceptor(func(ctx context.Context, unmarshal ttrpc.Unmarshaler, _ *ttrpc.UnaryServerInfo, method ttrpc.Method) (any, error) {
			answer, err := method(ctx, unmarshal)
			if created, ok := answer.(*api.CreateContainerResponse); ok && err == nil {
				created.Evict = evict
			}
			return answer, err
		})},
	)
}

// TestPluginsAsk has a plugin ask for updates and evictions in answers and of its own accord, also while
// the runtime waits for it.
func TestPluginsAsk(t *testing.T) {
	rt := newRuntime()
	for _, id := range []string{"good", "bad", "ignored", "evicted", "c"} {
		rt.ctrs[id] = podsandbox.ContainerStatus{ID: id}
	}
	a, socket := started(t, rt)
	p := &asker{view: newView()}
	var leave func()
	p.stub, leave = join(t, socket, p, p.synced, withEvictions("evicted"))
	defer leave()
	waitPlugin(t, a)
	ctx, c := t.Context(), made()
	if err := a.RunSandbox(ctx, &podsandbox.SandboxStatus{ID: "s"}); err != nil {
		t.Fatal(err)
	}
	if err := a.CreateContainer(ctx, c); err != nil {
		t.Fatal(err)
	}
	wantStopped(t, rt, "evicted")
	a.ContainerCreated(ctx, c)
	if err := a.StartContainer(ctx, c); err != nil {
		t.Fatal(err)
	}
	wantStopped(t, rt, "evicted")
	if p.err == nil {
		t.Error("a failed update was no error")
	}
	if rt.limits["good"].MemoryLimit != 64 {
		t.Errorf("limits set: %v", rt.limits)
	}
	limits := podsandbox.Resources{MemoryLimit: 100, OOMScoreAdj: 7}
	if err := a.UpdateContainer(ctx, c, &limits); err != nil {
		t.Fatal(err)
	}
	if limits.MemoryLimit != 101 || limits.OOMScoreAdj != 7 {
		t.Errorf("update as changed: %+v", limits)
	}
	if rt.limits["good"].CPUShares != 5 {
		t.Errorf("limits set with an update of another: %v", rt.limits)
	}
}

func waitPlugin(t *testing.T, a *Adapter) {
	t.Helper()
	for range 1000 {
		if !a.idle() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the plugin is not on the list")
}

func wantStopped(t *testing.T, rt *runtime, id string) {
	t.Helper()
	select {
	case got := <-rt.stopped:
		if got != id {
			t.Errorf("%s is stopped, want %s", got, id)
		}
	case <-time.After(20 * time.Second):
		t.Errorf("%s is not evicted", id)
	}
}

// refuser is a plugin that fails the making of containers.
type refuser struct{ *view }

func (p refuser) CreateContainer(ctx context.Context, pod *api.PodSandbox, c *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
	_, _, _ = p.view.CreateContainer(ctx, pod, c)
	return nil, nil, errors.New("no")
}

func TestPluginRefuses(t *testing.T) {
	a, socket := started(t, newRuntime())
	p := refuser{newView()}
	_, leave := join(t, socket, p, p.synced)
	defer leave()
	waitPlugin(t, a)
	ctx, c := t.Context(), made()
	if err := a.RunSandbox(ctx, &podsandbox.SandboxStatus{ID: "s"}); err != nil {
		t.Fatal(err)
	}
	if err := a.CreateContainer(ctx, c); err == nil {
		t.Error("a plugin's refusal is no error")
	}
	a.RemoveContainer(ctx, c)
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	a.StopSandbox(cancelled, &podsandbox.SandboxStatus{ID: "s"}) // told all the same
	a.RemoveSandbox(ctx, &podsandbox.SandboxStatus{ID: "s"})
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.ctrs)+len(p.pods)+len(p.wrong) != 0 {
		t.Errorf("the plugin knows %v %v, wrong %v", p.ctrs, p.pods, p.wrong)
	}
}

// resizer is a plugin that hears of pods' resources.
type resizer struct {
	*view
	overhead, resources int64
	fail                error
	updated             []string
}

func (p *resizer) UpdatePodSandbox(_ context.Context, _ *api.PodSandbox, overhead, resources *api.LinuxResources) error {
	p.overhead, p.resources = overhead.Memory.Limit.GetValue(), resources.Memory.Limit.GetValue()
	return p.fail
}

func (p *resizer) PostUpdatePodSandbox(_ context.Context, pod *api.PodSandbox) error {
	p.updated = append(p.updated, pod.Id)
	return nil
}

func TestSandboxUpdate(t *testing.T) {
	a, socket := started(t, newRuntime())
	p := &resizer{view: newView()}
	_, leave := join(t, socket, p, p.synced)
	defer leave()
	waitPlugin(t, a)
	ctx, s := t.Context(), &podsandbox.SandboxStatus{ID: "s"}
	if err := a.RunSandbox(ctx, s); err != nil {
		t.Fatal(err)
	}
	if err := a.UpdateSandbox(ctx, s, podsandbox.Resources{MemoryLimit: 1}, podsandbox.Resources{MemoryLimit: 2}); err != nil {
		t.Fatal(err)
	}
	a.SandboxUpdated(ctx, s)
	if p.overhead != 1 || p.resources != 2 || len(p.updated) != 1 || p.updated[0] != "s" {
		t.Errorf("the plugin heard %d, %d, %v", p.overhead, p.resources, p.updated)
	}
	p.fail = errors.New("no")
	if err := a.UpdateSandbox(ctx, s, podsandbox.Resources{}, podsandbox.Resources{}); err == nil {
		t.Error("a plugin's refusal is no error")
	}
}
