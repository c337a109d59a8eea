package podsandbox

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"

	guestapi "github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/network"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

func TestRestartLosesNothing(t *testing.T) {
	w := newWorld(t)
	pod := w.run("a")
	ended, running, created := w.started(pod, "ended"), w.started(pod, "running"), w.create(pod, "created")
	agent := w.agent(pod)
	out := agent.Container(running).Init.Stdout
	io.WriteString(out, "before\nhalf")
	w.m.Close()
	io.WriteString(out, "-line\n")
	io.WriteString(agent.Container(ended).Init.Stdout, "last words\n")
	agent.Container(ended).Init.Exit(&guestapi.Exit{Code: 3})
	w.start()

	if st := w.await(ended, ContainerExited); st.ExitCode != 3 || st.Reason != "Error" {
		t.Errorf("ended while away: %+v", st)
	}
	if lines := w.logLines(ended); !slices.Equal(lines, []string{"stdout F last words"}) {
		t.Errorf("log %q", lines)
	}
	w.await(running, ContainerRunning)
	if err := w.m.StartContainer(t.Context(), created); err != nil {
		t.Error(err)
	}
	if o, _, _, err := w.m.ExecSync(t.Context(), running, []string{"echo", "x"}, 0); err != nil || string(o) != "x\n" {
		t.Errorf("exec: %q %v", o, err)
	}
	agent.Container(running).Init.Exit(&guestapi.Exit{})
	if st := w.await(running, ContainerExited); st.Reason != "Completed" {
		t.Errorf("ended: %+v", st)
	}
	if lines := w.logLines(running); !slices.Equal(lines, []string{"stdout F before", "stdout F half-line"}) {
		t.Errorf("log %q", lines)
	}
	w.restart()
	if err := w.m.RemoveSandbox(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	w.nothingLeft()
}

func TestRestartAfterTheVMDied(t *testing.T) {
	for _, released := range []bool{false, true} {
		w := newWorld(t)
		pod := w.run("a")
		id := w.started(pod, "c")
		w.m.Close()
		w.vms.Crash(pod[:vmIDLength])
		if released {
			machine, err := w.vms.Open(t.Context(), pod[:vmIDLength])
			if err != nil {
				t.Fatal(err)
			}
			machine.Release()
		}
		w.start()
		if st := w.await(id, ContainerExited); st.Reason != "VMExited" || st.ExitCode != 255 {
			t.Errorf("status %+v", st)
		}
		if s, _ := w.m.Sandbox(pod); s.State != SandboxNotReady || s.Reason == "" {
			t.Errorf("sandbox %+v", s)
		}
		if err := w.m.RemoveSandbox(t.Context(), pod); err != nil {
			t.Fatal(err)
		}
		w.nothingLeft()
	}
}

// TestIntentsAreUndone puts the store back to where a crash in the middle would have left it.
func TestIntentsAreUndone(t *testing.T) {
	w := newWorld(t)
	keep := w.run("keep")
	other := w.started(keep, "other")
	half := w.create(keep, "half")
	pod := w.run("half")
	w.create(pod, "within")
	for table, id := range map[string]string{"sandbox": pod, "container": half} {
		var err error
		if table == "sandbox" {
			s, _ := w.m.sandbox(id)
			err = w.m.updateSandbox(s, func(r *sandboxRecord) bool { r.Phase = phaseMaking; return true })
		} else {
			c, _ := w.m.container(id)
			_, err = w.m.updateContainer(c, func(r *containerRecord) bool { r.Phase = phaseMaking; return true })
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	w.restart()
	if n := len(w.m.Sandboxes()) + len(w.m.Containers()); n != 2 {
		t.Errorf("%d sandboxes and containers, want 2", n)
	}
	if n := w.agent(keep).Containers(); n != 1 {
		t.Errorf("%d containers in the guest", n)
	}
	if d := w.vms.Disks(keep[:vmIDLength]); len(d) != 3 {
		t.Errorf("disks %v: what the other container uses must stay", d)
	}
	w.await(other, ContainerRunning)
	w.create(keep, "half") // the name is free
	if err := w.m.RemoveSandbox(t.Context(), keep); err != nil {
		t.Fatal(err)
	}
	w.nothingLeft()
}

func TestStartThatWasNotNoted(t *testing.T) {
	w := newWorld(t)
	pod := w.run("a")
	id := w.create(pod, "c")
	w.m.Close()
	w.agent(pod).StartContainer(t.Context(), &guestapi.StartContainerRequest{Id: id})
	w.start()
	w.await(id, ContainerRunning)
}

func TestStraysAreReaped(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.m.Close()
	w.vms.Create(ctx, vm.Config{ID: "stray", GuestOS: 1, Resources: vm.Resources{MemoryBytes: 1 << 28, CPUs: 1}})
	w.network.Fake.Setup(ctx, network.Request{SandboxID: "stray"})
	w.shares.Start(ctx, "stray", "")
	w.images.Layers(ctx, "", "stray")
	w.start()
	w.nothingLeft()
}

func TestManyPodsAtOnce(t *testing.T) {
	w := newWorld(t)
	var pods sync.WaitGroup
	for i := range 8 {
		pods.Go(func() {
			pod, err := w.m.RunSandbox(t.Context(), w.sandboxConfig(fmt.Sprint("pod", i)))
			if err != nil {
				t.Error(err)
				return
			}
			var parts sync.WaitGroup
			for j := range 4 {
				parts.Go(func() {
					id, err := w.m.CreateContainer(t.Context(), pod, containerConfig(fmt.Sprint("c", j)))
					if err == nil {
						err = w.m.StartContainer(t.Context(), id)
					}
					if err == nil && j%2 == 0 {
						err = w.m.RemoveContainer(t.Context(), id)
					}
					if err != nil {
						t.Error(err)
					}
				})
			}
			parts.Wait()
			w.m.Sandboxes()
			w.m.Containers()
			for range 2 {
				parts.Go(func() {
					if err := w.m.RemoveSandbox(t.Context(), pod); err != nil {
						t.Error(err)
					}
				})
			}
			parts.Wait()
		})
	}
	pods.Wait()
	w.nothingLeft()
}
