package vmtest

import (
	"errors"
	"net"
	"testing"

	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

func testBornNIC(t *testing.T, s *suite) {
	if s.Tap == nil {
		t.Skip("no endpoints can be made here")
	}
	plain := s.create(t, "plain")
	if mac := plain.BornMAC(); mac != nil {
		t.Errorf("a VM without an endpoint was born with NIC %v", mac)
	}
	end(t, s, plain)
	v, err := s.host.Create(s.context(t), vm.Config{ID: "born", GuestOS: guest.Linux, Endpoint: s.Tap(t)})
	if err != nil {
		t.Fatal(err)
	}
	handshake(t, s, v)
	mac := v.BornMAC()
	if len(mac) != 6 || mac[0]&1 != 0 {
		t.Errorf("born with NIC %v, want a unicast Ethernet address", mac)
	}
	if err := v.AttachNIC(s.context(t), vm.NIC{ID: "more", MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, Endpoint: s.Tap(t)}); err != nil {
		t.Errorf("attach a further NIC: %v", err)
	}
	s.restart(t, v)
	v = s.open(t, "born")
	if again := v.BornMAC(); again.String() != mac.String() {
		t.Errorf("after a restart born with NIC %v, was %v", again, mac)
	}
	end(t, s, v)
}

func testJoinCgroup(t *testing.T, s *suite) {
	v := s.create(t, "joining")
	defer end(t, s, v)
	// No such cgroup: as for a pod whose cgroup kubelet has not made.
	if err := v.JoinCgroup(s.context(t), "/paddock-vmtest-absent"); err != nil {
		t.Errorf("join: %v", err)
	}
	if err := v.JoinCgroup(s.context(t), "/paddock-vmtest-absent"); !errors.Is(err, vm.ErrInvalid) {
		t.Errorf("join again: %v, want ErrInvalid", err)
	}
}
