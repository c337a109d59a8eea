package nri

import (
	"cmp"
	"slices"

	"github.com/containerd/nri/pkg/api"

	"github.com/paddock-run/paddock/podsandbox"
)

// ledger is what plugins have been told.
type ledger struct {
	pods       map[string]*podEntry
	containers map[string]*containerEntry
}

// podEntry is a pod as it was last told.
type podEntry struct {
	status  podsandbox.SandboxStatus
	stopped bool
}

// containerEntry is a container as it was last told. Its state is the told one, ahead of or behind the status'.
type containerEntry struct {
	status podsandbox.ContainerStatus
	state  api.ContainerState
}

func newLedger() ledger {
	return ledger{pods: map[string]*podEntry{}, containers: map[string]*containerEntry{}}
}

// fill is what there is when the first plugins come.
func (l *ledger) fill(pods []podsandbox.SandboxStatus, containers []podsandbox.ContainerStatus) {
	for i := range pods {
		l.pods[pods[i].ID] = &podEntry{status: pods[i]}
	}
	for i := range containers {
		l.containers[containers[i].ID] = &containerEntry{status: containers[i], state: stateOf(&containers[i])}
	}
}

func stateOf(c *podsandbox.ContainerStatus) api.ContainerState {
	switch c.State {
	case podsandbox.ContainerCreated:
		return api.ContainerState_CONTAINER_CREATED
	case podsandbox.ContainerRunning:
		return api.ContainerState_CONTAINER_RUNNING
	case podsandbox.ContainerExited:
		return api.ContainerState_CONTAINER_STOPPED
	}
	return api.ContainerState_CONTAINER_UNKNOWN
}

// tell is the ledger for a plugin that joins, oldest first: every pod, and every container that
// has not ended. Limits are the present ones: plugins change them without a hook.
func (l *ledger) tell(rt Runtime) (pods []*api.PodSandbox, containers []*api.Container) {
	for _, p := range sorted(l.pods, func(a, b *podEntry) int { return a.status.Created.Compare(b.status.Created) }) {
		pods = append(pods, p.view())
	}
	for _, c := range sorted(l.containers, func(a, b *containerEntry) int { return a.status.Created.Compare(b.status.Created) }) {
		if c.state != api.ContainerState_CONTAINER_STOPPED {
			if now, err := rt.Container(c.status.ID); err == nil {
				c.status.Config.Resources = now.Config.Resources
			}
			containers = append(containers, c.view())
		}
	}
	return pods, containers
}

func sorted[T any](all map[string]T, compare func(a, b T) int) []T {
	ids := make([]string, 0, len(all))
	for id := range all {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b string) int {
		return cmp.Or(compare(all[a], all[b]), cmp.Compare(a, b))
	})
	out := make([]T, len(ids))
	for i, id := range ids {
		out[i] = all[id]
	}
	return out
}

// pod is a container's pod, as it was told.
func (l *ledger) pod(c *podsandbox.ContainerStatus) *api.PodSandbox {
	if p := l.pods[c.SandboxID]; p != nil {
		return p.view()
	}
	return &api.PodSandbox{Id: c.SandboxID}
}
