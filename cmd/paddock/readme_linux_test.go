package main

import (
	"os"
	"strings"
	"testing"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/cri"
	"github.com/paddock-run/paddock/guest"
)

// README lists what answers Unimplemented, no less and no more.
func TestReadmeListsWhatIsMissing(t *testing.T) {
	data, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), "<!-- unimplemented:begin -->\n")
	got, _, found := strings.Cut(rest, "<!-- unimplemented:end -->")
	if !found {
		t.Fatal("README.md has no unimplemented section")
	}
	var want strings.Builder
	for _, c := range cri.Unimplemented(criConfig("127.0.0.1:0", guest.LCOW)) {
		want.WriteString("- " + c.String() + "\n")
	}
	if got != want.String() {
		t.Errorf("README.md's list must be:\n%s", want.String())
	}
}

func TestCRIConfigIsForThisHost(t *testing.T) {
	c := criConfig("127.0.0.1:0", guest.LCOW)
	if c.HostOS != guest.Linux || c.CgroupDriver != runtimeapi.CgroupDriver_CGROUPFS || !c.MountOptions {
		t.Errorf("%+v", c)
	}
}
