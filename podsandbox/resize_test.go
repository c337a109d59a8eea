package podsandbox

import (
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/paddock-run/paddock/podsandbox/vm"
)

const mib = 1 << 20

// memory is the VM's, in MiB; guestLimit a container's in its guest, as last updated.
func (w *world) memory(pod string) uint64 { return w.vms.Size(pod[:vmIDLength]).MemoryBytes / mib }

func (w *world) guestLimit(pod, container string) int64 {
	w.t.Helper()
	var r specs.LinuxResources
	if err := json.Unmarshal(w.agent(pod).Container(container).Resources(), &r); err != nil || r.Memory == nil {
		w.t.Fatalf("limits in the guest: %v", err)
	}
	return *r.Memory.Limit / mib
}

func memory(mibs int64) Resources { return Resources{MemoryLimit: mibs * mib} }

func TestUpdateContainerResizesTheVM(t *testing.T) {
	w := newWorld(t)
	pod := w.run("a")
	id := w.started(pod, "c")
	if got := w.memory(pod); got != 512 {
		t.Fatalf("the VM begins with %d MiB", got)
	}
	var order []string
	var mu sync.Mutex
	w.onStep("UpdateContainer", func() {
		mu.Lock()
		defer mu.Unlock()
		if w.memory(pod) >= 1152 {
			order = append(order, "after the VM")
		} else {
			order = append(order, "before the VM")
		}
	})
	for _, step := range []struct{ limit, vm int64 }{{1024, 1152}, {1024, 1152}, {200, 512}, {2048, 2176}, {-1, 512}} {
		r := memory(step.limit)
		if step.limit < 0 {
			r.MemoryLimit = -1
		}
		if err := w.m.UpdateContainer(t.Context(), id, r); err != nil {
			t.Fatal(err)
		}
		if st, _ := w.m.Container(id); st.Config.Resources.MemoryLimit != r.MemoryLimit || int64(w.memory(pod)) != step.vm {
			t.Errorf("limit of %d MiB: stored %d bytes, VM of %d MiB", step.limit, st.Config.Resources.MemoryLimit, w.memory(pod))
		}
	}
	for i, o := range order {
		if o != "after the VM" {
			t.Errorf("update %d in the guest: %s", i, o)
		}
	}
}

func TestUpdateThatFailsChangesNothing(t *testing.T) {
	w := newWorld(t)
	pod := w.run("a")
	id := w.started(pod, "c")
	if err := w.m.UpdateContainer(t.Context(), id, memory(100)); err != nil {
		t.Fatal(err)
	}
	w.setFail("UpdateContainer", errors.New("boom"))
	if err := w.m.UpdateContainer(t.Context(), id, memory(4096)); err == nil {
		t.Fatal("no error")
	}
	if st, _ := w.m.Container(id); st.Config.Resources.MemoryLimit != 100*mib || w.memory(pod) != 512 {
		t.Errorf("limit of %d bytes, VM of %d MiB", st.Config.Resources.MemoryLimit, w.memory(pod))
	}
	w.setFail("UpdateContainer", nil)
	w.setFail("UpdateSandbox", errors.New("boom"))
	big := memory(4096)
	if err := w.m.UpdateSandbox(t.Context(), pod, PodResources{Resources: &big}); err == nil {
		t.Fatal("no error")
	}
	w.setFail("UpdateSandbox", nil)
	if st, _ := w.m.Sandbox(pod); st.Config.Resources.MemoryLimit != 0 {
		t.Errorf("limit of the pod: %d bytes", st.Config.Resources.MemoryLimit)
	}
	if err := w.m.UpdateContainer(t.Context(), id, memory(100)); err != nil || w.memory(pod) != 512 {
		t.Errorf("afterwards: VM of %d MiB, %v", w.memory(pod), err)
	}
}

func TestUpdateSandbox(t *testing.T) {
	w := newWorld(t)
	pod := w.run("a")
	if u := w.agent(pod).Updated(); u != nil {
		t.Errorf("limits of a pod that has none: %v", u)
	}
	resources, overhead := Resources{MemoryLimit: 1000 * mib, CPUQuota: 250000, CPUPeriod: 100000}, memory(200)
	for range 2 {
		if err := w.m.UpdateSandbox(t.Context(), pod, PodResources{Resources: &resources, Overhead: &overhead}); err != nil {
			t.Fatal(err)
		}
	}
	if size := w.vms.Size(pod[:vmIDLength]); size != (vm.Resources{MemoryBytes: 1408 * mib, CPUs: 3}) {
		t.Errorf("the VM is %+v", size)
	}
	var l specs.LinuxResources
	if err := json.Unmarshal(w.agent(pod).Updated().Resources, &l); err != nil || *l.Memory.Limit != 1000*mib || *l.CPU.Quota != 250000 || w.agent(pod).Updated().Cpus != 3 {
		t.Errorf("the guest was told %v", w.agent(pod).Updated())
	}
	w.restart()
	if st, _ := w.m.Sandbox(pod); st.Config.Resources.MemoryLimit != 1000*mib || st.Config.Overhead.MemoryLimit != 200*mib {
		t.Errorf("after a restart: %+v", st.Config)
	}
	if err := w.m.UpdateSandbox(t.Context(), pod, PodResources{Resources: &Resources{}}); err != nil {
		t.Fatal(err)
	}
	if size := w.vms.Size(pod[:vmIDLength]); size != (vm.Resources{MemoryBytes: 512 * mib, CPUs: 3}) {
		t.Errorf("without limits the VM is %+v", size)
	}
	if err := w.m.StopSandbox(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	if err := w.m.UpdateSandbox(t.Context(), pod, PodResources{}); !errors.Is(err, ErrState) {
		t.Errorf("of a stopped sandbox: %v", err)
	}
	if err := w.m.UpdateSandbox(t.Context(), "unknown", PodResources{}); !errors.Is(err, ErrNotFound) {
		t.Errorf("of an unknown sandbox: %v", err)
	}
}

func TestLimitsOfANewPod(t *testing.T) {
	w := newWorld(t)
	cfg := w.sandboxConfig("a")
	cfg.Resources = Resources{MemoryLimit: 1000 * mib, CPUQuota: 150000}
	pod, err := w.m.RunSandbox(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	var l specs.LinuxResources
	if err := json.Unmarshal(w.agent(pod).Updated().Resources, &l); err != nil || *l.Memory.Limit != 1000*mib || *l.CPU.Quota != 150000 || *l.CPU.Period != defaultPeriod {
		t.Errorf("the guest was told %v", w.agent(pod).Updated())
	}
	if size := w.vms.Size(pod[:vmIDLength]); size != (vm.Resources{MemoryBytes: 1152 * mib, CPUs: 2}) {
		t.Errorf("the VM is %+v", size)
	}
}

// TestVMThatCannotGrow: the containers get their limits all the same.
func TestVMThatCannotGrow(t *testing.T) {
	w := newWorld(t)
	pod := w.run("a")
	id := w.started(pod, "c")
	r := Resources{MemoryLimit: 1 << 40, CPUQuota: 100 * 100000}
	if err := w.m.UpdateContainer(t.Context(), id, r); err != nil {
		t.Fatal(err)
	}
	if got := w.guestLimit(pod, id); got != 1<<20 || w.memory(pod) != 512 {
		t.Errorf("limit of %d MiB in a VM of %d", got, w.memory(pod))
	}
}

// TestContainersMadeAtOnce: each counts with the others.
func TestContainersMadeAtOnce(t *testing.T) {
	w := newWorld(t)
	pod := w.run("a")
	var all sync.WaitGroup
	for _, name := range []string{"a", "b", "c", "d"} {
		all.Go(func() {
			cfg := containerConfig(name)
			cfg.Resources = Resources{MemoryLimit: 400 * mib, CPUQuota: 60000, CPUPeriod: 100000}
			if _, err := w.m.CreateContainer(t.Context(), pod, cfg); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if size := w.vms.Size(pod[:vmIDLength]); size != (vm.Resources{MemoryBytes: 1792 * mib, CPUs: 3}) {
		t.Errorf("the VM is %+v", size)
	}
	s, err := w.m.sandbox(pod)
	if err != nil || len(s.claims) != 0 {
		t.Errorf("claims left: %v, %v", s.claims, err)
	}
}

// TestUpdateSurvivesACrash: a change that was begun is finished by the next daemon.
func TestUpdateSurvivesACrash(t *testing.T) {
	w := newWorld(t)
	pod := w.run("a")
	id := w.started(pod, "c")
	c, err := w.m.container(id)
	if err != nil {
		t.Fatal(err)
	}
	change := memory(1024)
	if err := w.m.noteUpdate(c, Resources{}, &change); err != nil { // and then the daemon dies
		t.Fatal(err)
	}
	w.restart()
	w.eventually("the limit is set", func() bool {
		st, err := w.m.Container(id)
		return err == nil && st.Config.Resources.MemoryLimit == 1024*mib && w.memory(pod) == 1152
	})
	if got := w.guestLimit(pod, id); got != 1024 {
		t.Errorf("limit of %d MiB in the guest", got)
	}
	if c, err = w.m.container(id); err != nil || c.pendingUpdate() != nil {
		t.Errorf("still under way: %v, %v", c.pendingUpdate(), err)
	}
}

func TestSizes(t *testing.T) {
	for _, c := range []struct {
		quota, period int64
		milli         uint64
		processors    uint32
	}{
		{0, 100000, 0, 0}, {-1, 100000, 0, 0}, {1000, 1000000, 1, 1}, {50000, 100000, 500, 1}, {100000, 0, 1000, 1}, {100001, 100000, 1001, 2},
		{1 << 62, 100000, vm.MaxCPUs * 1000, vm.MaxCPUs},
	} {
		if m := milliCPUs(c.quota, c.period); m != c.milli || processors(m) != c.processors {
			t.Errorf("%d in %d: %d, %d processors", c.quota, c.period, m, processors(m))
		}
	}
	if got := larger(Resources{MemoryLimit: 5, CPUQuota: 100, CPUPeriod: 1000}, Resources{MemoryLimit: 3, CPUQuota: 100, CPUPeriod: 500}); got.MemoryLimit != 5 || got.CPUPeriod != 500 {
		t.Errorf("%+v", got)
	}
	sorted := []uint64{byteLimit(-1), byteLimit(0), byteLimit(7), byteLimit(1 << 62)}
	if !slices.Equal(sorted, []uint64{0, 0, 7, vm.MaxMemory}) {
		t.Errorf("%v", sorted)
	}
}
