// Package network is the seam between pod sandboxes and the node's pod
// network. Implementations: tap (Linux hosts: CNI, a network namespace and a tap per
// sandbox), hns (Windows hosts) and networktest.Fake. Every implementation passes networktest.
package network

import (
	"context"
	"errors"
	"net"
	"net/netip"

	"github.com/paddock-run/paddock/podsandbox/vm"
)

// ErrNotReady: no usable network configuration; the error says where it was looked for.
var ErrNotReady = errors.New("network is not ready")

// Network wires sandboxes. Its methods may be called concurrently for different sandboxes.
type Network interface {
	// Prepare makes, before the pod is known, what a sandbox needs of the host
	// whatever its pod is, and returns the host's side of its first interface, for
	// vm.Config.Endpoint; the caller closes a tap's file once the VM has it. Nil: this
	// host has none ahead. Teardown undoes it. On error nothing is left behind.
	Prepare(ctx context.Context, sandboxID string) (vm.Endpoint, error)
	// Setup joins a sandbox, prepared or not, to the pod network, or in host mode to
	// the node's own (ErrNoHostMode if it cannot): then packets leave with the node's
	// addresses, and what the pod listens on is reachable as Expose says. Host mode
	// needs no pod network to be configured. On error nothing is left behind.
	// Setup of a sandbox that is set up already returns the same Attachment.
	Setup(ctx context.Context, req Request) (*Attachment, error)
	// Teardown undoes Setup, also a half-done one, also after a restart. It
	// needs only the id. An unknown id succeeds.
	Teardown(ctx context.Context, sandboxID string) error
	// Open returns the Attachment of a sandbox set up by an earlier process. vm.ErrNotFound if there is none.
	Open(ctx context.Context, sandboxID string) (*Attachment, error)
	// List names every sandbox that has something set up, whole or in part, to reap strays.
	List(ctx context.Context) ([]string, error)
	// Expose makes the node's own addresses, its localhost included, lead to what a
	// sandbox in host mode listens on: to these ports and no others, the set
	// replaces the earlier one. A port that the node or another sandbox uses is
	// refused and stays theirs; so is what there is no means for. What is exposed
	// outlives this process, until Teardown; an Expose after a restart makes good
	// what was lost. vm.ErrNotFound for a sandbox that is not set up in host mode.
	Expose(ctx context.Context, sandboxID string, ports []HostPort) ([]Refusal, error)
	// NodeListeners lists the TCP ports that a sandbox in host mode is to find on
	// its localhost: the node's, and what it exposes for other sandboxes.
	NodeListeners(ctx context.Context, sandboxID string) ([]HostPort, error)
	// Status is nil when Setup of a pod network can work; else ErrNotReady with the reason and the fix.
	Status() error
}

// Request is what the pod asks of its network.
type Request struct {
	// Host asks for the node's network. Port mappings and bandwidth mean nothing then.
	Host         bool
	SandboxID    string
	PodName      string
	PodNamespace string
	PodUID       string
	Annotations  map[string]string
	CgroupParent string
	PortMappings []PortMapping
	DNS          DNS
	// Bandwidth in bits per second; 0: no limit. From kubernetes.io/ingress-bandwidth and egress-bandwidth.
	IngressBits, EgressBits uint64
}

// Protocol is an IP protocol of a port mapping.
type Protocol uint8

// Protocols that CRI port mappings know.
const (
	TCP Protocol = iota
	UDP
	SCTP
)

// PortMapping maps a port of the node to one of the pod.
type PortMapping struct {
	Protocol      Protocol
	ContainerPort uint16
	HostPort      uint16
	HostIP        netip.Addr // zero: every address
}

// DNS is a resolver configuration.
type DNS struct {
	Servers, Searches, Options []string
}

// Attachment is a sandbox's place in the pod network, or on the node's.
type Attachment struct {
	// Node is valid in host mode: the node's end of the sandbox's private link,
	// which leads to the node's localhost.
	Node netip.Addr
	// NetNS is the network namespace's path (Linux) or HCN namespace GUID (Windows).
	NetNS      string
	Interfaces []Interface
	// DNS from the CNI result; empty if it gave none.
	DNS DNS
}

// Interface is one NIC of the pod; the first is eth0.
type Interface struct {
	Name      string
	MAC       net.HardwareAddr
	MTU       int
	Addresses []netip.Prefix
	Routes    []Route
	// Endpoint is what vm.AttachNIC takes. The Attachment's holder closes a tap's
	// file when the VM has it. Nil for the one that Prepare gave out, and after
	// Open: the VM holds the device.
	Endpoint vm.Endpoint
}

// Route is a route of the pod. An invalid Gateway: on link.
type Route struct {
	Destination netip.Prefix
	Gateway     netip.Addr
	MTU         int
	Priority    int
}

// Host tells whether the sandbox is on the node's network.
func (a *Attachment) Host() bool { return a.Node.IsValid() }

// IPs returns the pod's addresses, the first interface's first; none in host
// mode, where they are the node's: those of the interface are a private link's.
func (a *Attachment) IPs() []netip.Addr {
	if a.Host() {
		return nil
	}
	var ips []netip.Addr
	for _, i := range a.Interfaces {
		for _, p := range i.Addresses {
			ips = append(ips, p.Addr())
		}
	}
	return ips
}
