package hostcgroup

import (
	"path"
	"strings"
)

// Limits are those of a pod on the node; 0: none.
type Limits struct {
	Quota, Period int64 // microseconds of processor time, in each of so many
	Memory        int64 // bytes
}

// Above names the cgroup that a pod's lies in, in the form of the pod's: a path,
// or a slice's name. "" if there is none.
func Above(parent string) string {
	if slice, ok := strings.CutSuffix(parent, ".slice"); ok && !strings.Contains(parent, "/") {
		if i := strings.LastIndexByte(slice, '-'); i > 0 {
			return slice[:i] + ".slice"
		}
		return ""
	}
	if parent == "" || path.Dir(parent) == parent || path.Dir(parent) == "." {
		return ""
	}
	return path.Dir(parent)
}
