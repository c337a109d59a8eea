package podsandbox

import (
	"errors"
	"testing"

	"github.com/paddock-run/paddock/guest"
	guestapi "github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/guest/idmap"
)

func TestMapOwner(t *testing.T) {
	ids := &idmap.Range{Host: 65536, Size: 65536}
	scratch := func(uid, gid uint32) *mountSource {
		return &mountSource{scratch: &guestapi.ScratchSource{Uid: uid, Gid: gid}}
	}
	s := scratch(0, 2000)
	if err := s.mapOwner(ids); err != nil || s.scratch.Uid != 65536 || s.scratch.Gid != 67536 {
		t.Errorf("an emptyDir belongs to %d:%d, %v", s.scratch.Uid, s.scratch.Gid, err)
	}
	tmpfs := &mountSource{tmpfs: &guestapi.TmpfsSource{Uid: 1, Gid: 65535}}
	if err := tmpfs.mapOwner(ids); err != nil || tmpfs.tmpfs.Uid != 65537 || tmpfs.tmpfs.Gid != 131071 {
		t.Errorf("a memory emptyDir belongs to %d:%d, %v", tmpfs.tmpfs.Uid, tmpfs.tmpfs.Gid, err)
	}
	if err := scratch(0, 65536).mapOwner(ids); !errors.Is(err, ErrInvalid) {
		t.Errorf("a group outside of the mapping: %v", err)
	}
	if s := scratch(0, 100000); s.mapOwner(nil) != nil || s.scratch.Gid != 100000 {
		t.Errorf("without a mapping it belongs to group %d", s.scratch.Gid)
	}
	share := &mountSource{path: "/srv"}
	if err := share.mapOwner(ids); err != nil {
		t.Errorf("a share, which its server maps: %v", err)
	}
}

// TestUserNamespaceReachesTheGuest: the pod's mapping goes to the agent, a mount's to the share server.
func TestUserNamespaceReachesTheGuest(t *testing.T) {
	w := newWorld(t)
	ids := &idmap.Range{Host: 65536, Size: 65536}
	cfg := w.sandboxConfig("a")
	cfg.UserNamespace = ids
	pod, err := w.m.RunSandbox(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if got := w.agent(pod).Configured().UserNamespace; got.GetContainer() != 0 || got.GetHost() != 65536 || got.GetSize() != 65536 {
		t.Errorf("the agent is told %v", got)
	}
	c := containerConfig("c")
	c.Mounts = []Mount{{ContainerPath: "/data", HostPath: t.TempDir(), IDs: ids}, {ContainerPath: "/raw", HostPath: t.TempDir()}}
	if _, err := w.m.CreateContainer(t.Context(), pod, c); err != nil {
		t.Fatal(err)
	}
	server := w.shares.servers[pod]
	server.mu.Lock()
	defer server.mu.Unlock()
	for _, share := range server.shares {
		if want := share.HostPath == c.Mounts[0].HostPath; (share.IDs != nil) != want || want && *share.IDs != *ids {
			t.Errorf("share of %s has the mapping %v", share.HostPath, share.IDs)
		}
	}
	if len(server.shares) != 2 {
		t.Errorf("shares: %v", server.shares)
	}
	cfg = w.sandboxConfig("b")
	cfg.UserNamespace, cfg.Handler = ids, guest.WCOW
	if _, err := w.m.RunSandbox(t.Context(), cfg); !errors.Is(err, ErrInvalid) {
		t.Errorf("a Windows pod with a user namespace: %v", err)
	}
}

func TestSharesWithOtherMappingsAreOthers(t *testing.T) {
	dir := t.TempDir()
	id := func(ids *idmap.Range) string { return shareID(sharing(dir, &Mount{IDs: ids})) }
	a, b, none := id(&idmap.Range{Host: 65536, Size: 65536}), id(&idmap.Range{Host: 131072, Size: 65536}), id(nil)
	if a == b || a == none || a != id(&idmap.Range{Host: 65536, Size: 65536}) {
		t.Errorf("shares %s, %s and without a mapping %s", a, b, none)
	}
}
