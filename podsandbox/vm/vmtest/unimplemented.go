package vmtest

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/paddock-run/paddock/guest/api"
)

// UnimplementedAgent answers every call with UNIMPLEMENTED; embed it in a
// service of your own.
type UnimplementedAgent struct{}

var _ api.AgentService = UnimplementedAgent{}

func unimplemented(call string) error {
	return status.Errorf(codes.Unimplemented, "the fake agent has no %s", call)
}

// Handshake is not implemented.
func (UnimplementedAgent) Handshake(context.Context, *api.HandshakeRequest) (*api.HandshakeResponse, error) {
	return nil, unimplemented("Handshake")
}

// Personalize is not implemented.
func (UnimplementedAgent) Personalize(context.Context, *api.PersonalizeRequest) (*api.PersonalizeResponse, error) {
	return nil, unimplemented("Personalize")
}

// Rehearse is not implemented.
func (UnimplementedAgent) Rehearse(context.Context, *api.RehearseRequest) (*api.RehearseResponse, error) {
	return nil, unimplemented("Rehearse")
}

// ConfigureSandbox is not implemented.
func (UnimplementedAgent) ConfigureSandbox(context.Context, *api.ConfigureSandboxRequest) (*api.ConfigureSandboxResponse, error) {
	return nil, unimplemented("ConfigureSandbox")
}

// SyncPorts is not implemented.
func (UnimplementedAgent) SyncPorts(context.Context, *api.SyncPortsRequest) (*api.SyncPortsResponse, error) {
	return nil, unimplemented("SyncPorts")
}

// AttachShare is not implemented.
func (UnimplementedAgent) AttachShare(context.Context, *api.AttachShareRequest) (*api.AttachShareResponse, error) {
	return nil, unimplemented("AttachShare")
}

// DetachShare is not implemented.
func (UnimplementedAgent) DetachShare(context.Context, *api.DetachShareRequest) (*api.DetachShareResponse, error) {
	return nil, unimplemented("DetachShare")
}

// WatchMounts is not implemented.
func (UnimplementedAgent) WatchMounts(context.Context, *api.WatchMountsRequest) (*api.WatchMountsResponse, error) {
	return nil, unimplemented("WatchMounts")
}

// CreateContainer is not implemented.
func (UnimplementedAgent) CreateContainer(context.Context, *api.CreateContainerRequest) (*api.CreateContainerResponse, error) {
	return nil, unimplemented("CreateContainer")
}

// StartContainer is not implemented.
func (UnimplementedAgent) StartContainer(context.Context, *api.StartContainerRequest) (*api.StartContainerResponse, error) {
	return nil, unimplemented("StartContainer")
}

// DeleteContainer is not implemented.
func (UnimplementedAgent) DeleteContainer(context.Context, *api.DeleteContainerRequest) (*api.DeleteContainerResponse, error) {
	return nil, unimplemented("DeleteContainer")
}

// UpdateContainer is not implemented.
func (UnimplementedAgent) UpdateContainer(context.Context, *api.UpdateContainerRequest) (*api.UpdateContainerResponse, error) {
	return nil, unimplemented("UpdateContainer")
}

// UpdateSandbox is not implemented.
func (UnimplementedAgent) UpdateSandbox(context.Context, *api.UpdateSandboxRequest) (*api.UpdateSandboxResponse, error) {
	return nil, unimplemented("UpdateSandbox")
}

// ListContainers is not implemented.
func (UnimplementedAgent) ListContainers(context.Context, *api.ListContainersRequest) (*api.ListContainersResponse, error) {
	return nil, unimplemented("ListContainers")
}

// Exec is not implemented.
func (UnimplementedAgent) Exec(context.Context, *api.ExecRequest) (*api.ExecResponse, error) {
	return nil, unimplemented("Exec")
}

// SignalProcess is not implemented.
func (UnimplementedAgent) SignalProcess(context.Context, *api.SignalProcessRequest) (*api.SignalProcessResponse, error) {
	return nil, unimplemented("SignalProcess")
}

// WaitProcess is not implemented.
func (UnimplementedAgent) WaitProcess(context.Context, *api.WaitProcessRequest) (*api.WaitProcessResponse, error) {
	return nil, unimplemented("WaitProcess")
}

// ResizeTerminal is not implemented.
func (UnimplementedAgent) ResizeTerminal(context.Context, *api.ResizeTerminalRequest) (*api.ResizeTerminalResponse, error) {
	return nil, unimplemented("ResizeTerminal")
}

// Stats is not implemented.
func (UnimplementedAgent) Stats(context.Context, *api.StatsRequest) (*api.StatsResponse, error) {
	return nil, unimplemented("Stats")
}

// Shutdown is not implemented.
func (UnimplementedAgent) Shutdown(context.Context, *api.ShutdownRequest) (*api.ShutdownResponse, error) {
	return nil, unimplemented("Shutdown")
}
