package guesttest

import (
	"context"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/paddock-run/paddock/guest/api"
)

// Listen makes these the ports that the guest listens on.
func (a *Agent) Listen(ports ...*api.Listener) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.listening = ports
}

// NodePorts are what the guest was told last that the node listens on.
func (a *Agent) NodePorts() []*api.Listener {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.nodePorts
}

// SyncPorts answers as an agent does.
func (a *Agent) SyncPorts(_ context.Context, r *api.SyncPortsRequest) (*api.SyncPortsResponse, error) {
	if err := a.check("SyncPorts"); err != nil {
		return nil, err
	}
	a.mu.Lock()
	a.nodePorts = r.Node
	a.mu.Unlock()
	end := time.Now().Add(time.Duration(r.WaitMillis) * time.Millisecond)
	for {
		a.mu.Lock()
		listening := a.listening
		a.mu.Unlock()
		same := slices.EqualFunc(listening, r.Known, func(x, y *api.Listener) bool { return proto.Equal(x, y) })
		if !same || time.Now().After(end) {
			return &api.SyncPortsResponse{Guest: listening}, nil
		}
		time.Sleep(time.Millisecond)
	}
}
