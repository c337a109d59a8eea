package vmtest

import (
	"context"
	"time"

	"github.com/paddock-run/paddock/guest/api"
)

// Agent is the least agent that a Fake's guest runs unless told otherwise: it
// answers Handshake and Personalize, and powers the VM off when asked to shut down.
type Agent struct {
	UnimplementedAgent
	Guest *Guest
}

// Handshake agrees on the highest protocol.
func (a *Agent) Handshake(context.Context, *api.HandshakeRequest) (*api.HandshakeResponse, error) {
	return &api.HandshakeResponse{
		Protocol:      api.ProtocolMax,
		AgentVersion:  "fake",
		KernelRelease: "0.0.0-fake",
		Architecture:  "amd64",
	}, nil
}

// Personalize accepts anything.
func (a *Agent) Personalize(context.Context, *api.PersonalizeRequest) (*api.PersonalizeResponse, error) {
	return &api.PersonalizeResponse{}, nil
}

// Shutdown powers the VM off after the answer, unless the host is to.
func (a *Agent) Shutdown(_ context.Context, req *api.ShutdownRequest) (*api.ShutdownResponse, error) {
	if req.KeepPower {
		return &api.ShutdownResponse{}, nil
	}
	time.AfterFunc(5*time.Millisecond, a.Guest.PowerOff) // the answer comes before the power goes
	return &api.ShutdownResponse{}, nil
}
