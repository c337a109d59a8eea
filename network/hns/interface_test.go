package hns

import (
	"testing"

	"github.com/paddock-run/paddock/podsandbox/vm"
)

func TestInterfaces(t *testing.T) {
	second := endpoint{ID: "b", Name: "Ethernet", MAC: "00-15-5D-00-00-02", Addresses: []string{"fd00::2/64"}, Overhead: 50}
	first := endpoint{
		ID: "a", Name: "id_eth0", MAC: "00-15-5D-00-00-01", Addresses: []string{"10.1.2.3/24"},
		Routes: []route{{"10.1.2.1", "0.0.0.0/0"}, {"0.0.0.0", "10.9.0.1/16"}},
	}
	got, err := interfaces([]endpoint{second, first})
	if err != nil {
		t.Fatal(err)
	}
	a, b := got[0], got[1]
	if a.Name != "eth0" || a.Endpoint != (vm.HCNEndpoint{ID: "a"}) || a.MTU != 1500 || a.MAC.String() != "00:15:5d:00:00:01" || b.Name != "eth1" || b.MTU != 1450 {
		t.Errorf("%+v\n%+v", a, b)
	}
	if a.Addresses[0].String() != "10.1.2.3/24" || a.Routes[0].Gateway.String() != "10.1.2.1" || a.Routes[1].Gateway.IsValid() || a.Routes[1].Destination.String() != "10.9.0.0/16" {
		t.Errorf("%+v", a)
	}
	for name, bad := range map[string][]endpoint{
		"none":       nil,
		"no address": {{ID: "a", MAC: first.MAC}},
		"no MAC":     {{ID: "a", Addresses: first.Addresses}},
		"group MAC":  {{ID: "a", MAC: "01-00-00-00-00-01", Addresses: first.Addresses}},
		"address":    {{ID: "a", MAC: first.MAC, Addresses: []string{"10.1.2.3"}}},
		"route":      {{ID: "a", MAC: first.MAC, Addresses: first.Addresses, Routes: []route{{"", "x"}}}},
	} {
		if got, err := interfaces(bad); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
