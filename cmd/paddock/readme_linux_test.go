package main

import (
	"os"
	"strings"
	"testing"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/config"
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
	for _, c := range cri.Unimplemented(criConfig(defaults(t))) {
		want.WriteString("- " + c.String() + "\n")
	}
	if got != want.String() {
		t.Errorf("README.md's list must be:\n%s", want.String())
	}
}

func TestCRIConfigIsForThisHost(t *testing.T) {
	cfg := defaults(t)
	c := criConfig(cfg)
	if c.HostOS != guest.Linux || c.CgroupDriver != runtimeapi.CgroupDriver_CGROUPFS || !c.MountOptions || !c.HostNetwork {
		t.Errorf("%+v", c)
	}
	cfg.HostNetwork.Mode = config.HostNetworkRefuse
	if criConfig(cfg).HostNetwork || networkConfig(cfg).HostRange4.IsValid() {
		t.Error("the host network is there although the configuration refuses it")
	}
}

func defaults(t *testing.T) *config.Config {
	t.Helper()
	cfg, err := config.Load("")
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}
