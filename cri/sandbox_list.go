package cri

import (
	"context"
	"errors"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/podsandbox"
)

// ListPodSandbox lists the sandboxes that a filter lets through.
func (s *Server) ListPodSandbox(_ context.Context, r *runtimeapi.ListPodSandboxRequest) (*runtimeapi.ListPodSandboxResponse, error) {
	items, err := s.listSandboxes(r.GetFilter())
	if err != nil {
		return nil, err
	}
	return &runtimeapi.ListPodSandboxResponse{Items: items}, nil
}

// StreamPodSandboxes lists the same in parts.
func (s *Server) StreamPodSandboxes(r *runtimeapi.StreamPodSandboxesRequest, stream runtimeapi.RuntimeService_StreamPodSandboxesServer) error {
	items, err := s.listSandboxes(r.GetFilter())
	if err != nil {
		return err
	}
	return sendInParts(items, func(part []*runtimeapi.PodSandbox) error {
		return stream.Send(&runtimeapi.StreamPodSandboxesResponse{PodSandboxes: part})
	})
}

func (s *Server) listSandboxes(f *runtimeapi.PodSandboxFilter) ([]*runtimeapi.PodSandbox, error) {
	if f.GetState() != nil {
		if err := checkEnum("filter.state", f.GetState().GetState()); err != nil {
			return nil, err
		}
	}
	all, err := s.selectSandboxes(f.GetId(), f.GetLabelSelector())
	if err != nil {
		return nil, err
	}
	items := make([]*runtimeapi.PodSandbox, 0, len(all))
	for i := range all {
		if f.GetState() != nil && f.GetState().GetState() != sandboxState(all[i].State) {
			continue
		}
		items = append(items, listedSandbox(&all[i]))
	}
	return items, nil
}

// selectSandboxes returns the sandboxes with an id (or unique prefix; "" for all) and labels.
func (s *Server) selectSandboxes(id string, labels map[string]string) ([]podsandbox.SandboxStatus, error) {
	if err := checkOptionalID("filter.id", id); err != nil {
		return nil, err
	}
	all, err := s.sandboxesOf(id)
	if err != nil {
		return nil, err
	}
	if len(labels) == 0 {
		return all, nil
	}
	selected := make([]podsandbox.SandboxStatus, 0, len(all))
	for i := range all {
		if matchLabels(all[i].Config.Labels, labels) {
			selected = append(selected, all[i])
		}
	}
	return selected, nil
}

func (s *Server) sandboxesOf(id string) ([]podsandbox.SandboxStatus, error) {
	if id == "" {
		return s.runtime.Sandboxes(), nil
	}
	st, err := s.runtime.Sandbox(id)
	if errors.Is(err, podsandbox.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return []podsandbox.SandboxStatus{st}, nil
}

// matchLabels tells whether have has every label of want.
func matchLabels(have, want map[string]string) bool {
	for k, v := range want {
		if got, ok := have[k]; !ok || got != v {
			return false
		}
	}
	return true
}
