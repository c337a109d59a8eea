package podsandbox

import (
	"fmt"

	guestapi "github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/guest/idmap"
)

func guestRange(r *idmap.Range) *guestapi.IDRange {
	if r == nil {
		return nil
	}
	return &guestapi.IDRange{Container: r.Container, Host: r.Host, Size: r.Size}
}

// rootID is the id in the pod's kernel of root in its containers.
func rootID(userNamespace *idmap.Range) uint32 {
	if userNamespace == nil {
		return 0
	}
	root, _ := userNamespace.ToHost(0)
	return root
}

// mapOwner gives a folder that is the pod's alone to the ids that its owner on
// the host has in the pod's kernel: it never leaves the guest, so no mount need translate them.
func (s *mountSource) mapOwner(ids *idmap.Range) error {
	if ids == nil {
		return nil
	}
	var owners []*uint32
	switch {
	case s.tmpfs != nil:
		owners = []*uint32{&s.tmpfs.Uid, &s.tmpfs.Gid}
	case s.scratch != nil:
		owners = []*uint32{&s.scratch.Uid, &s.scratch.Gid}
	case s.disk != nil && s.disk.make:
		owners = []*uint32{&s.disk.uid, &s.disk.gid}
	}
	for _, id := range owners {
		host, ok := ids.ToHost(*id)
		if !ok {
			return fmt.Errorf("%w: the folder's owner or group %d on the host is not among the %d ids of the mount's mapping", ErrInvalid, *id, ids.Size)
		}
		*id = host
	}
	return nil
}
