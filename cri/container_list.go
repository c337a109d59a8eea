package cri

import (
	"context"
	"errors"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/podsandbox"
)

// ListContainers lists the containers that a filter lets through.
func (s *Server) ListContainers(_ context.Context, r *runtimeapi.ListContainersRequest) (*runtimeapi.ListContainersResponse, error) {
	items, err := s.listContainers(r.GetFilter())
	if err != nil {
		return nil, err
	}
	return &runtimeapi.ListContainersResponse{Containers: items}, nil
}

// StreamContainers lists the same in parts.
func (s *Server) StreamContainers(r *runtimeapi.StreamContainersRequest, stream runtimeapi.RuntimeService_StreamContainersServer) error {
	items, err := s.listContainers(r.GetFilter())
	if err != nil {
		return err
	}
	return sendInParts(items, func(part []*runtimeapi.Container) error {
		return stream.Send(&runtimeapi.StreamContainersResponse{Containers: part})
	})
}

func (s *Server) listContainers(f *runtimeapi.ContainerFilter) ([]*runtimeapi.Container, error) {
	if f.GetState() != nil {
		if err := checkEnum("filter.state", f.GetState().GetState()); err != nil {
			return nil, err
		}
	}
	all, err := s.selectContainers(f.GetId(), f.GetPodSandboxId(), f.GetLabelSelector())
	if err != nil {
		return nil, err
	}
	items := make([]*runtimeapi.Container, 0, len(all))
	for i := range all {
		if f.GetState() != nil && f.GetState().GetState() != containerState(all[i].State) {
			continue
		}
		items = append(items, listedContainer(&all[i]))
	}
	return items, nil
}

// selectContainers returns the containers with an id, of a sandbox (unique
// prefixes; "" for all) and with labels.
func (s *Server) selectContainers(id, sandboxID string, labels map[string]string) ([]podsandbox.ContainerStatus, error) {
	if err := checkOptionalID("filter.id", id); err != nil {
		return nil, err
	}
	if sandboxID != "" {
		full, err := s.sandboxID(sandboxID)
		if err != nil {
			return nil, err
		}
		sandboxID = full
	}
	all, err := s.containersOf(id)
	if err != nil {
		return nil, err
	}
	if sandboxID == "" && len(labels) == 0 {
		return all, nil
	}
	selected := make([]podsandbox.ContainerStatus, 0, len(all))
	for i := range all {
		if (sandboxID == "" || all[i].SandboxID == sandboxID) && matchLabels(all[i].Config.Labels, labels) {
			selected = append(selected, all[i])
		}
	}
	return selected, nil
}

func (s *Server) containersOf(id string) ([]podsandbox.ContainerStatus, error) {
	if id == "" {
		return s.runtime.Containers(), nil
	}
	st, err := s.runtime.Container(id)
	if errors.Is(err, podsandbox.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return []podsandbox.ContainerStatus{st}, nil
}
