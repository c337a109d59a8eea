package podsandbox

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	guestapi "github.com/paddock-run/paddock/guest/api"
)

// outward starts a container with a bidirectional mount and others of the same
// kind that must not be one. It returns the container, the share and its path.
func (w *world) outward(pod string) (id, share, hostPath string) {
	w.t.Helper()
	cfg := containerConfig("driver")
	hostPath = w.t.TempDir()
	cfg.Mounts = []Mount{
		{HostPath: hostPath, ContainerPath: "/out", Propagation: PropagationBidirectional},
		{HostPath: w.t.TempDir(), ContainerPath: "/in", Propagation: PropagationHostToContainer},
		{HostPath: w.t.TempDir(), ContainerPath: "/ro", Propagation: PropagationBidirectional, ReadOnly: true},
	}
	id, err := w.m.CreateContainer(w.t.Context(), pod, cfg)
	if err == nil {
		err = w.m.StartContainer(w.t.Context(), id)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	server := w.shares.servers[pod]
	server.mu.Lock()
	defer server.mu.Unlock()
	for _, s := range server.shares {
		if s.HostPath == hostPath {
			share = s.ID
		}
	}
	return id, share, hostPath
}

// shows waits until the node shows the guest's mounts at exactly these places.
func (w *world) shows(pod string, places ...string) {
	w.t.Helper()
	slices.Sort(places)
	var got []string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if got = w.shares.servers[pod].exported(); slices.Equal(got, places) {
			return
		}
	}
	w.t.Fatalf("the node shows %v, want %v", got, places)
}

func TestMountsReachTheNode(t *testing.T) {
	w := newWorld(t)
	pod := w.run("a")
	id, share, host := w.outward(pod)
	agent := w.agent(pod)
	a := &guestapi.GuestMount{ShareId: share, Path: "a", Id: 1, FsType: "tmpfs"}
	b := &guestapi.GuestMount{ShareId: share, Path: "a/b", Id: 2, FsType: "ext4"}

	agent.SetMounts(a)
	w.shows(pod, filepath.Join(host, "a"))
	agent.SetMounts(a, b)
	if _, _, _, err := w.m.ExecSync(t.Context(), id, []string{"echo", "x"}, 0); err != nil {
		t.Fatal(err)
	}
	// Not shows: whoever ran the command must find it there at once.
	if got := w.shares.servers[pod].exported(); len(got) != 2 {
		t.Errorf("after a command the node shows %v", got)
	}
	other := &guestapi.GuestMount{ShareId: share, Path: "a", Id: 3, FsType: "tmpfs"}
	agent.SetMounts(other)
	w.shows(pod, filepath.Join(host, "a"))
	eventually(t, "the other mount is shown", func() bool {
		ids, _ := w.shares.servers[pod].Exports(t.Context())
		return len(ids) == 1 && ids[0] == exportID(other)
	})

	w.restart()
	w.shows(pod, filepath.Join(host, "a"))
	agent.SetMounts(b)
	w.shows(pod, filepath.Join(host, "a/b"))
	if err := w.m.RemoveContainer(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	agent.SetMounts(a)
	w.shows(pod) // the share is nobody's any more
	if err := w.m.RemoveSandbox(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	w.nothingLeft()
}

func TestMountsOfAHostileGuest(t *testing.T) {
	w := newWorld(t)
	pod := w.run("a")
	_, share, host := w.outward(pod)
	var mounts []*guestapi.GuestMount
	for id := range w.shares.servers[pod].shares {
		if id != share { // neither bidirectional nor writable
			mounts = append(mounts, &guestapi.GuestMount{ShareId: id, Path: "x", Id: 1})
		}
	}
	mounts = append(mounts, &guestapi.GuestMount{ShareId: "made-up", Path: "x", Id: 1}, &guestapi.GuestMount{})
	w.agent(pod).SetMounts(append(mounts, &guestapi.GuestMount{ShareId: share, Path: "good", Id: 1})...)
	w.shows(pod, filepath.Join(host, "good"))

	var flood []*guestapi.GuestMount
	for i := range 3 * maxPropagated {
		flood = append(flood, &guestapi.GuestMount{ShareId: share, Path: fmt.Sprintf("%04d", i), Id: uint64(i)})
	}
	w.agent(pod).SetMounts(flood...)
	eventually(t, "as many as may be are shown", func() bool { return len(w.shares.servers[pod].exported()) == maxPropagated })
	time.Sleep(2 * propagatePause)
	if n := len(w.shares.servers[pod].exported()); n != maxPropagated {
		t.Errorf("the node shows %d mounts, at most %d may be", n, maxPropagated)
	}
}

// TestMountThatCannotBeShown is tried again with the next change and holds nothing else up.
func TestMountThatCannotBeShown(t *testing.T) {
	w := newWorld(t)
	pod := w.run("a")
	id, share, host := w.outward(pod)
	w.setFail("Shares.Export", errors.New("no"))
	a := &guestapi.GuestMount{ShareId: share, Path: "a", Id: 1}
	w.agent(pod).SetMounts(a)
	if _, _, _, err := w.m.ExecSync(t.Context(), id, []string{"echo", "x"}, 0); err != nil {
		t.Errorf("a command fails with it: %v", err)
	}
	w.setFail("Shares.Export", nil)
	w.agent(pod).SetMounts(a, &guestapi.GuestMount{ShareId: share, Path: "b", Id: 2})
	w.shows(pod, filepath.Join(host, "a"), filepath.Join(host, "b"))
}

func TestExportIDs(t *testing.T) {
	ids := map[string]bool{}
	for _, m := range []*guestapi.GuestMount{
		{ShareId: "s", Path: "a", Id: 1}, {ShareId: "s", Path: "a", Id: 2}, {ShareId: "s", Path: "b", Id: 1},
		{ShareId: "t", Path: "a", Id: 1}, {ShareId: "s", Path: "a", Id: 1, IsFile: true}, {ShareId: "s a", Id: 1}, {ShareId: "s", Path: " a", Id: 1},
	} {
		ids[exportID(m)] = true
	}
	if len(ids) != 7 {
		t.Errorf("%d ids of 7 mounts", len(ids))
	}
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}
