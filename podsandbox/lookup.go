package podsandbox

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// newID returns 64 random hex digits.
func newID() string {
	var b [32]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// Sandbox takes a full id or a unique prefix.
func (m *Manager) Sandbox(id string) (SandboxStatus, error) {
	s, err := m.sandbox(id)
	if err != nil {
		return SandboxStatus{}, err
	}
	return *s.status.Load(), nil
}

// Sandboxes returns every sandbox, oldest first.
func (m *Manager) Sandboxes() []SandboxStatus {
	var all []SandboxStatus
	for _, s := range m.allSandboxes() {
		all = append(all, *s.status.Load())
	}
	slices.SortFunc(all, func(a, b SandboxStatus) int { return a.Created.Compare(b.Created) })
	return all
}

// Container takes a full id or a unique prefix.
func (m *Manager) Container(id string) (ContainerStatus, error) {
	c, err := m.container(id)
	if err != nil {
		return ContainerStatus{}, err
	}
	return *c.status.Load(), nil
}

// Containers returns every container, oldest first.
func (m *Manager) Containers() []ContainerStatus {
	var all []ContainerStatus
	for _, c := range m.allContainers() {
		all = append(all, *c.status.Load())
	}
	slices.SortFunc(all, func(a, b ContainerStatus) int { return a.Created.Compare(b.Created) })
	return all
}

func (m *Manager) sandbox(id string) (*sandbox, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return find("sandbox", m.sandboxes, id)
}

func (m *Manager) container(id string) (*container, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return find("container", m.containers, id)
}

func (m *Manager) allSandboxes() []*sandbox {
	m.mu.RLock()
	defer m.mu.RUnlock()
	all := make([]*sandbox, 0, len(m.sandboxes))
	for _, s := range m.sandboxes {
		all = append(all, s)
	}
	return all
}

func (m *Manager) allContainers() []*container {
	m.mu.RLock()
	defer m.mu.RUnlock()
	all := make([]*container, 0, len(m.containers))
	for _, c := range m.containers {
		all = append(all, c)
	}
	return all
}

// find looks an id or its unique prefix up.
func find[T any](kind string, all map[string]T, id string) (T, error) {
	var none, found T
	if id == "" {
		return none, fmt.Errorf("%s with an empty id: %w", kind, ErrNotFound)
	}
	if one, ok := all[id]; ok {
		return one, nil
	}
	matches := 0
	for full, one := range all {
		if strings.HasPrefix(full, id) {
			found = one
			matches++
		}
	}
	switch matches {
	case 0:
		return none, fmt.Errorf("%s %q: %w", kind, id, ErrNotFound)
	case 1:
		return found, nil
	}
	return none, fmt.Errorf("%s %q: %w: the prefix means %d of them", kind, id, ErrInvalid, matches)
}
