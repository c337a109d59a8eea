package cri

import (
	"errors"

	"github.com/paddock-run/paddock/podsandbox"
)

// sandboxID completes an id that may be a unique prefix. An id that nothing
// has is returned as it is: the idempotent calls go on with it.
func (s *Server) sandboxID(id string) (string, error) {
	if err := checkID("pod_sandbox_id", id); err != nil {
		return "", err
	}
	st, err := s.runtime.Sandbox(id)
	if errors.Is(err, podsandbox.ErrNotFound) {
		return id, nil
	}
	if err != nil {
		return "", err
	}
	return st.ID, nil
}

// containerID is sandboxID for containers.
func (s *Server) containerID(id string) (string, error) {
	if err := checkID("container_id", id); err != nil {
		return "", err
	}
	st, err := s.runtime.Container(id)
	if errors.Is(err, podsandbox.ErrNotFound) {
		return id, nil
	}
	if err != nil {
		return "", err
	}
	return st.ID, nil
}

// sandbox finds a sandbox by id or unique prefix.
func (s *Server) sandbox(id string) (podsandbox.SandboxStatus, error) {
	if err := checkID("pod_sandbox_id", id); err != nil {
		return podsandbox.SandboxStatus{}, err
	}
	return s.runtime.Sandbox(id)
}

// container finds a container by id or unique prefix.
func (s *Server) container(id string) (podsandbox.ContainerStatus, error) {
	if err := checkID("container_id", id); err != nil {
		return podsandbox.ContainerStatus{}, err
	}
	return s.runtime.Container(id)
}
