package networktest

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/paddock-run/paddock/network"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

// Fake is an in-memory network. Its zero value is ready.
type Fake struct {
	// OnSetup and OnTeardown, if set, are called first; their error is the call's.
	OnSetup    func(network.Request) error
	OnTeardown func(sandboxID string) error
	// NodePorts is what NodeListeners returns, beside other sandboxes' exposed ports.
	// They are in use on the node.
	NodePorts []network.HostPort
	// NotReady is what Status returns.
	NotReady error

	mu       sync.Mutex
	next     uint32
	attached map[string]*network.Attachment
	prepared map[string]bool
	exposed  map[string][]network.HostPort
}

var _ network.Network = (*Fake)(nil)

// Prepare implements network.Network. Endpoints are HCN's, which need nothing of the host.
func (f *Fake) Prepare(ctx context.Context, id string) (vm.Endpoint, error) {
	if id == "" {
		return nil, fmt.Errorf("%w: empty sandbox id", vm.ErrInvalid)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.prepared[id] || f.attached[id] != nil {
		return nil, fmt.Errorf("network of sandbox %s: %w", id, vm.ErrExists)
	}
	if f.prepared == nil {
		f.prepared = map[string]bool{}
	}
	f.prepared[id] = true
	return vm.HCNEndpoint{ID: "fake-" + id}, nil
}

// Setup implements network.Network.
func (f *Fake) Setup(ctx context.Context, req network.Request) (*network.Attachment, error) {
	if req.SandboxID == "" {
		return nil, fmt.Errorf("%w: empty sandbox id", vm.ErrInvalid)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if f.OnSetup != nil {
		if err := f.OnSetup(req); err != nil {
			return nil, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if a := f.attached[req.SandboxID]; a != nil {
		return a, nil
	}
	if f.attached == nil {
		f.attached = map[string]*network.Attachment{}
	}
	f.next++
	a := fakeAttachment(req.SandboxID, f.next)
	if req.Host {
		onNode(a, f.next)
	}
	f.attached[req.SandboxID] = a
	delete(f.prepared, req.SandboxID)
	return a, nil
}

func fakeAttachment(id string, n uint32) *network.Attachment {
	hi, lo := byte(n>>8), byte(n)
	return &network.Attachment{
		NetNS: "fake:" + id,
		Interfaces: []network.Interface{{
			Name:      "eth0",
			MAC:       net.HardwareAddr{2, 0, 0, 0, hi, lo},
			MTU:       1500,
			Addresses: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 1, hi, lo}), 16)},
			Routes: []network.Route{{
				Destination: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.AddrFrom4([4]byte{10, 1, 0, 254}),
			}},
		}, {
			Name: "net1", MAC: net.HardwareAddr{2, 0, 0, 1, hi, lo}, MTU: 1500,
			Addresses: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 2, hi, lo}), 16)},
		}},
	}
}

// onNode makes an attachment one of host mode, with a link of its own.
func onNode(a *network.Attachment, n uint32) {
	at := func(host byte) netip.Addr { return netip.AddrFrom4([4]byte{169, 254, byte(n >> 6), byte(n<<2) + host}) }
	a.Node = at(1)
	a.Interfaces[0].Addresses = []netip.Prefix{netip.PrefixFrom(at(2), 30)}
	a.Interfaces[0].Routes[0].Gateway = a.Node
}

// Teardown implements network.Network.
func (f *Fake) Teardown(_ context.Context, id string) error {
	if f.OnTeardown != nil {
		if err := f.OnTeardown(id); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.attached, id)
	delete(f.prepared, id)
	delete(f.exposed, id)
	return nil
}

// Open implements network.Network.
func (f *Fake) Open(_ context.Context, id string) (*network.Attachment, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a := f.attached[id]; a != nil {
		return a, nil
	}
	return nil, fmt.Errorf("network of sandbox %s: %w", id, vm.ErrNotFound)
}

// List implements network.Network.
func (f *Fake) List(context.Context) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	ids := make([]string, 0, len(f.attached))
	for id := range f.attached {
		ids = append(ids, id)
	}
	for id := range f.prepared {
		ids = append(ids, id)
	}
	return ids, nil
}

// Status implements network.Network.
func (f *Fake) Status() error { return f.NotReady }
