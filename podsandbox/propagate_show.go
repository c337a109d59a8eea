package podsandbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"

	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/fileshare"
	guestapi "github.com/paddock-run/paddock/guest/api"
)

// wantedExports are the guest's mounts that may be shown, parents first.
func wantedExports(mounts []*guestapi.GuestMount, outward map[string]string) []fileshare.Export {
	var wanted []fileshare.Export
	for _, m := range mounts {
		if hostPath, ok := outward[m.ShareId]; ok {
			wanted = append(wanted, fileshare.Export{
				ID: exportID(m), ShareID: m.ShareId, HostPath: hostPath, Path: m.Path, Mount: m.Id, IsFile: m.IsFile,
			})
		}
	}
	return wanted
}

// exportID names a mount by all that makes it another one.
func exportID(m *guestapi.GuestMount) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %v %q %q", m.Id, m.IsFile, m.ShareId, m.Path))
	return "m" + hex.EncodeToString(sum[:16])
}

// show takes away what is not wanted and adds what is not shown. op is held.
func (s *sandbox) show(ctx context.Context, wanted []fileshare.Export, shown []string) error {
	keep := map[string]bool{}
	for _, e := range wanted {
		keep[e.ID] = true
	}
	maps.DeleteFunc(s.propagation.failed, func(id string, _ string) bool { return !keep[id] })
	s.limit(len(wanted) > maxPropagated)
	has, err := s.withdraw(ctx, keep, shown)
	tried := 0
	for _, e := range wanted {
		if has[e.ID] || ctx.Err() != nil {
			continue
		}
		if len(has) >= maxPropagated || tried >= maxPropagated { // each may cost a guest's silence
			break
		}
		tried++
		if s.showOne(ctx, e) {
			has[e.ID] = true
		}
	}
	if ctx.Err() != nil {
		err = errors.Join(err, context.Cause(ctx))
	}
	return err
}

// withdraw takes away all that is shown but what to keep, and tells what stays.
// One that cannot go may wait for another: what is mounted in a mount goes with it.
func (s *sandbox) withdraw(ctx context.Context, keep map[string]bool, shown []string) (has map[string]bool, err error) {
	has = map[string]bool{}
	for _, id := range shown {
		if keep[id] {
			has[id] = true
		} else if failed := s.share.Unexport(ctx, id); failed != nil {
			has[id] = true
			err = errors.Join(err, failed)
		}
	}
	return has, err
}

// showOne adds one mount. A failure is said once and tried again with the next change.
func (s *sandbox) showOne(ctx context.Context, e fileshare.Export) bool {
	err := s.share.Export(ctx, e)
	if err == nil {
		delete(s.propagation.failed, e.ID)
		return true
	}
	if text := err.Error(); s.propagation.failed[e.ID] != text {
		klog.ErrorS(err, "A mount of a container does not reach the node", "sandbox", s.id)
		s.propagation.failed[e.ID] = text
	}
	return false
}

func (s *sandbox) limit(over bool) {
	if over && !s.propagation.full {
		klog.InfoS("A pod's containers have more mounts than the node shows", "sandbox", s.id, "most", maxPropagated)
	}
	s.propagation.full = over
}
