package tests

import (
	"strings"
	"testing"
)

func TestImages(t *testing.T) {
	crictlOut(t, "pull", busybox)
	pulled[busybox] = true
	list := crictlOut(t, "images")
	if !strings.Contains(list, "paddock.test/busybox") {
		t.Errorf("list lacks the image:\n%s", list)
	}
	status := crictlOut(t, "inspecti", busybox)
	if !strings.Contains(status, "sha256:") {
		t.Errorf("status names no digest:\n%s", status)
	}
	if out := crictlOut(t, "imagefsinfo"); !strings.Contains(out, "usedBytes") {
		t.Errorf("imagefsinfo: %s", out)
	}
}

func TestImageErrors(t *testing.T) {
	for ref, want := range map[string]string{
		host + "/nosuch:1":       "nosuch",
		host + "/busybox:nosuch": "nosuch",
		"Not A Reference":        "",
		host + "/busybox@sha256:" + strings.Repeat("0", 64): "",
	} {
		err := crictlErr(t, "pull", ref)
		if !strings.Contains(err.Error(), want) {
			t.Errorf("pull %s: %v; want an error that names %q", ref, err, want)
		}
	}
}

func TestRemoveImage(t *testing.T) {
	crictlOut(t, "pull", layered)
	crictlOut(t, "rmi", layered)
	delete(pulled, layered)
	if list := crictlOut(t, "images"); strings.Contains(list, "paddock.test/layered") {
		t.Errorf("still listed after its removal:\n%s", list)
	}
	crictlOut(t, "pull", layered)
	pulled[layered] = true
}
