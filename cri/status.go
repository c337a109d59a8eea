package cri

import (
	"context"
	"errors"
	goruntime "runtime"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/network"
)

// Reasons of conditions that are not met.
const (
	reasonNetworkNotReady = "NetworkPluginNotReady"
	reasonRuntimeNotReady = "PaddockNotReady"
)

// Status tells whether pods can be run, and what the runtime handlers can do.
func (s *Server) Status(_ context.Context, r *runtimeapi.StatusRequest) (*runtimeapi.StatusResponse, error) {
	resp := &runtimeapi.StatusResponse{
		Status:          &runtimeapi.RuntimeStatus{Conditions: conditions(s.runtime.Status())},
		RuntimeHandlers: s.runtimeHandlers(),
		Features: &runtimeapi.RuntimeFeatures{
			SupplementalGroupsPolicy: true,
			MountOptions:             s.cfg.MountOptions,
		},
	}
	if r.GetVerbose() {
		resp.Info = map[string]string{
			"config":  toJSON(s.cfg),
			"backend": toJSON(s.cfg.Backend),
			"golang":  toJSON(goruntime.Version()),
		}
	}
	return resp, nil
}

// conditions sorts what is missing into the two conditions that kubelet knows.
func conditions(missing error) []*runtimeapi.RuntimeCondition {
	rt := &runtimeapi.RuntimeCondition{Type: runtimeapi.RuntimeReady, Status: true}
	nw := &runtimeapi.RuntimeCondition{Type: runtimeapi.NetworkReady, Status: true}
	for _, err := range flatten(missing) {
		cond, reason := rt, reasonRuntimeNotReady
		if errors.Is(err, network.ErrNotReady) {
			cond, reason = nw, reasonNetworkNotReady
		}
		cond.Status, cond.Reason = false, reason
		if cond.Message != "" {
			cond.Message += "; "
		}
		cond.Message += err.Error()
	}
	return []*runtimeapi.RuntimeCondition{rt, nw}
}

// flatten returns the parts of an error made with errors.Join, or the error
// alone. An error with two %w is one error: its text is more than its parts.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		if parts := joined.Unwrap(); errors.Join(parts...).Error() == err.Error() {
			return parts
		}
	}
	return []error{err}
}

// runtimeHandlers describes every handler, and the default one under the empty name.
func (s *Server) runtimeHandlers() []*runtimeapi.RuntimeHandler {
	list := []*runtimeapi.RuntimeHandler{{Name: "", Features: features(s.cfg.DefaultHandler)}}
	for _, h := range s.cfg.Handlers {
		list = append(list, &runtimeapi.RuntimeHandler{Name: string(h), Features: features(h)})
	}
	return list
}

func features(h guest.Handler) *runtimeapi.RuntimeHandlerFeatures {
	return &runtimeapi.RuntimeHandlerFeatures{RecursiveReadOnlyMounts: h == guest.LCOW, UserNamespaces: h == guest.LCOW}
}
