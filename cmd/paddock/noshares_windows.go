package main

import (
	"context"
	"fmt"

	"github.com/paddock-run/paddock/fileshare"
	"github.com/paddock-run/paddock/guest/channel"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

// noShares stands where the share servers of a Windows host will: pods run, and a
// container that mounts a path of the node is refused.
type noShares struct{}

func (noShares) Start(context.Context, string, channel.Address) (fileshare.Server, error) {
	return noShare{make(chan struct{})}, nil
}
func (noShares) Open(_ context.Context, id string) (fileshare.Server, error) {
	return nil, fmt.Errorf("share server of sandbox %s: %w", id, vm.ErrNotFound)
}
func (noShares) List(context.Context) ([]string, error) { return nil, nil }
func (noShares) Stop(context.Context, string) error     { return nil }

type noShare struct{ exited chan struct{} }

func (noShare) Add(_ context.Context, s fileshare.Share) (fileshare.Info, error) {
	return fileshare.Info{}, fmt.Errorf("share %s with the pod: file shares are not available on Windows hosts yet: %w", s.HostPath, vm.ErrUnsupported)
}
func (noShare) Remove(context.Context, string) error { return nil }
func (noShare) Export(_ context.Context, e fileshare.Export) error {
	return fmt.Errorf("show %s on the node: %w", e.Path, vm.ErrUnsupported)
}
func (noShare) Unexport(context.Context, string) error    { return nil }
func (noShare) Exports(context.Context) ([]string, error) { return nil, nil }
func (s noShare) Exited() <-chan struct{}                 { return s.exited }
func (noShare) Restarted() <-chan struct{}                { return nil }
func (noShare) Close() error                              { return nil }
