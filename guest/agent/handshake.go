//go:build linux

package agent

import (
	"context"
	"runtime"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/paddock-run/paddock/guest/api"
)

// Handshake agrees on a protocol version and tells what this guest is. It comes
// before Personalize, so nothing random may be read here: it would be the same in
// every clone, and the boot id, which is drawn when first read, would stay so.
func (a *Agent) Handshake(_ context.Context, req *api.HandshakeRequest) (*api.HandshakeResponse, error) {
	protocol := min(req.ProtocolMax, api.ProtocolMax)
	if protocol < max(req.ProtocolMin, api.ProtocolMin) {
		return nil, status.Errorf(codes.FailedPrecondition,
			"host %s speaks protocol %d to %d, agent %s speaks %d to %d: use a guest image of the host's version",
			req.HostVersion, req.ProtocolMin, req.ProtocolMax, Version, api.ProtocolMin, api.ProtocolMax)
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return nil, status.Errorf(codes.Internal, "uname: %v", err)
	}
	return &api.HandshakeResponse{
		Protocol:      protocol,
		AgentVersion:  Version,
		KernelRelease: unix.ByteSliceToString(u.Release[:]),
		KernelVersion: unix.ByteSliceToString(u.Version[:]),
		Architecture:  runtime.GOARCH,
	}, nil
}
