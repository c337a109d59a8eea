package hostcgroup

import "testing"

func TestBelow(t *testing.T) {
	for in, want := range map[string]string{
		"":                              "",
		"/kubepods/burstable/pod1":      "kubepods/burstable/pod1",
		"kubepods-burstable-pod1.slice": "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice",
		"../../etc":                     "etc",
		"/a.slice":                      "a.slice",
	} {
		if got := below(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestAbove(t *testing.T) {
	for in, want := range map[string]string{
		"":                              "",
		"/kubepods/burstable/pod1":      "/kubepods/burstable",
		"/kubepods/pod1":                "/kubepods",
		"kubepods-burstable-pod1.slice": "kubepods-burstable.slice",
		"kubepods-pod1.slice":           "kubepods.slice",
		"pod1.slice":                    "",
		"pod1":                          "",
		"/":                             "",
	} {
		if got := Above(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
