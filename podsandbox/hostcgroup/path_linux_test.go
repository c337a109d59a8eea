package hostcgroup

import "testing"

func TestPath(t *testing.T) {
	for in, want := range map[string]string{
		"":                              "",
		"/kubepods/burstable/pod1":      "kubepods/burstable/pod1",
		"kubepods-burstable-pod1.slice": "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice",
		"../../etc":                     "etc",
		"/a.slice":                      "a.slice",
	} {
		if got := path(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
