package podsandbox

import (
	"os"
	"slices"
	"testing"

	guestapi "github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/network"
)

// runOnNode runs a sandbox on the node's network.
func (w *world) runOnNode(name string) string {
	w.t.Helper()
	cfg := w.sandboxConfig(name)
	cfg.Namespaces.Network = NamespaceNode
	id, err := w.m.RunSandbox(w.t.Context(), cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

func (w *world) exposes(id string, want ...network.HostPort) {
	w.t.Helper()
	w.eventually("the guest's ports are exposed", func() bool { return slices.Equal(w.network.Exposed(id), want) })
}

// A sandbox on the node's network is the node to those inside, and what it
// listens on is exposed, also after restarts of the daemon, until it stops.
func TestHostNetwork(t *testing.T) {
	w := newWorld(t)
	taken := network.HostPort{Port: 22}
	w.network.NodePorts = []network.HostPort{taken}
	id := w.runOnNode("host")
	guest := w.agent(id).Configured()
	host, _ := os.Hostname()
	hosts, _ := os.ReadFile("/etc/hosts")
	if guest.HostNetwork.GetNode() == "" || len(guest.HostNetwork.Listeners) != 1 || guest.HostNetwork.Listeners[0].Port != 22 {
		t.Errorf("the guest is told %v of the node", guest.HostNetwork)
	}
	if guest.Hostname != host || string(guest.Hosts) != string(hosts) {
		t.Errorf("hostname %q, hosts %q", guest.Hostname, guest.Hosts)
	}
	http, dns := network.HostPort{Port: 80}, network.HostPort{Protocol: network.UDP, Port: 53}
	w.agent(id).Listen(&guestapi.Listener{Port: 80}, &guestapi.Listener{Udp: true, Port: 53}, &guestapi.Listener{Port: 22}, &guestapi.Listener{Port: 70000}, &guestapi.Listener{})
	w.exposes(id, http, dns)
	w.eventually("the refusal shows", func() bool {
		st, err := w.m.Sandbox(id)
		return err == nil && len(st.RefusedPorts) == 1 && st.RefusedPorts[0].Port == taken
	})
	w.restart()
	w.agent(id).Listen(&guestapi.Listener{Port: 80})
	w.exposes(id, http)
	w.eventually("the status forgets the refusal", func() bool {
		st, err := w.m.Sandbox(id)
		return err == nil && len(st.RefusedPorts) == 0
	})
	if err := w.m.RemoveSandbox(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	w.nothingLeft()
}

// One sandbox's ports are the node's for another.
func TestHostNetworkOfTwo(t *testing.T) {
	w := newWorld(t)
	first, second := w.runOnNode("first"), w.runOnNode("second")
	w.agent(first).Listen(&guestapi.Listener{Port: 80})
	w.eventually("the second is told of the first's port", func() bool {
		ports := w.agent(second).NodePorts()
		return len(ports) == 1 && ports[0].Port == 80
	})
	if ports := w.agent(first).NodePorts(); len(ports) != 0 {
		t.Errorf("the first is told of its own ports: %v", ports)
	}
	for _, id := range []string{first, second} {
		if err := w.m.RemoveSandbox(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	w.nothingLeft()
}

// A pod on a network of its own is told nothing of the node.
func TestPodNetworkKnowsNoNode(t *testing.T) {
	w := newWorld(t)
	w.network.NodePorts = []network.HostPort{{Port: 22}}
	id := w.run("plain")
	if guest := w.agent(id).Configured(); guest.HostNetwork != nil || len(guest.Hosts) != 0 || w.agent(id).NodePorts() != nil {
		t.Errorf("the guest is told %v, %q", guest.HostNetwork, guest.Hosts)
	}
}
