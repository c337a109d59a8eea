//go:build linux

package agent

import (
	"fmt"
	"slices"
	"testing"

	"github.com/moby/sys/mountinfo"
)

func TestGuestMounts(t *testing.T) {
	at := func(id, parent int, path string) *mountinfo.Info {
		return &mountinfo.Info{ID: id, Parent: parent, Mountpoint: path, FSType: "tmpfs"}
	}
	for _, c := range []struct {
		name  string
		table []*mountinfo.Info
		want  []string // share, path, id
	}{
		{"shares alone", []*mountinfo.Info{at(10, 1, sharesDir+"/s1"), at(11, 1, sharesDir+"/s2")}, nil},
		{"below a share", []*mountinfo.Info{at(10, 1, sharesDir+"/s1"), at(12, 10, sharesDir+"/s1/a/b")}, []string{"s1:a/b:12"}},
		{"on a share's root", []*mountinfo.Info{at(10, 1, sharesDir+"/s1"), at(12, 10, sharesDir+"/s1")}, []string{"s1::12"}},
		{"the topmost of a stack", []*mountinfo.Info{
			at(10, 1, sharesDir+"/s1"), at(12, 10, sharesDir+"/s1/a"), at(13, 12, sharesDir+"/s1/a"), at(14, 13, sharesDir+"/s1/a"),
		}, []string{"s1:a:14"}},
		{"parents first", []*mountinfo.Info{
			at(10, 1, sharesDir+"/s1"), at(12, 13, sharesDir+"/s1/a/b"), at(13, 10, sharesDir+"/s1/a"),
		}, []string{"s1:a:13", "s1:a/b:12"}},
		{"a removed mount point", []*mountinfo.Info{at(10, 1, sharesDir+"/s1"), at(12, 10, sharesDir+"/s1/a//deleted")}, nil},
	} {
		var got []string
		for _, m := range guestMounts(c.table) {
			got = append(got, fmt.Sprintf("%s:%s:%d", m.ShareId, m.Path, m.Id))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
