//go:build linux

package agent

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/paddock-run/paddock/guest/agent/hostports"
	"github.com/paddock-run/paddock/guest/api"
)

const (
	// scanEvery is how often the guest's sockets are looked at.
	scanEvery = 200 * time.Millisecond
	// maxSyncWait bounds how long SyncPorts waits for a change.
	maxSyncWait = 10 * time.Second
)

func checkHostNetwork(h *api.HostNetwork) error {
	if h == nil {
		return nil
	}
	if _, err := netip.ParseAddr(h.Node); err != nil {
		return invalid("host_network: node: %v", err)
	}
	return nil
}

// mirrorPorts shows the node's listeners to the pod, before any container runs. A repeat keeps what is shown.
func (a *Agent) mirrorPorts(req *api.ConfigureSandboxRequest) error {
	if req.HostNetwork == nil {
		return nil
	}
	s := &a.sandbox
	if s.ports == nil {
		node, err := netip.ParseAddr(req.HostNetwork.Node)
		if err != nil {
			return err
		}
		s.ports = hostports.New(node, linkAddresses(req.Network))
	}
	s.ports.SetNode(hostports.FromAPI(req.HostNetwork.Listeners))
	return nil
}

func linkAddresses(n *api.Network) []netip.Addr {
	var addrs []netip.Addr
	for _, itf := range n.GetInterfaces() {
		for _, cidr := range itf.Addresses {
			if ip, _, err := net.ParseCIDR(cidr); err == nil {
				addr, _ := netip.AddrFromSlice(ip)
				addrs = append(addrs, addr.Unmap())
			}
		}
	}
	return addrs
}

// SyncPorts exchanges what node and guest listen on.
func (a *Agent) SyncPorts(ctx context.Context, req *api.SyncPortsRequest) (*api.SyncPortsResponse, error) {
	a.sandbox.mu.Lock()
	mirror := a.sandbox.ports
	a.sandbox.mu.Unlock()
	if mirror == nil {
		return nil, wrongState("the pod is not on the node's network")
	}
	mirror.SetNode(hostports.FromAPI(req.Node))
	known := hostports.FromAPI(req.Known)
	wait := time.After(min(time.Duration(req.WaitMillis)*time.Millisecond, maxSyncWait))
	for {
		found, err := mirror.Scan()
		if err != nil {
			return nil, fmt.Errorf("look for listeners: %w", err)
		}
		if !slices.Equal(found, known) {
			return &api.SyncPortsResponse{Guest: hostports.ToAPI(found)}, nil
		}
		select {
		case <-wait:
			return &api.SyncPortsResponse{Guest: hostports.ToAPI(found)}, nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(scanEvery):
		}
	}
}
