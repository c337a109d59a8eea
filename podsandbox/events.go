package podsandbox

import (
	"context"
	"sync"
	"time"
)

// subscriberBuffer is how many events a subscriber may be behind.
const subscriberBuffer = 1024

// hub hands events to subscribers, and never waits for one.
type hub struct {
	mu     sync.Mutex
	subs   map[chan Event]struct{}
	closed bool
}

func newHub() *hub { return &hub{subs: map[chan Event]struct{}{}} }

// subscribe returns a channel of events, closed when ctx ends or the hub closes.
func (h *hub) subscribe(ctx context.Context) <-chan Event {
	ch := make(chan Event, subscriberBuffer)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		close(ch)
		return ch
	}
	h.subs[ch] = struct{}{}
	context.AfterFunc(ctx, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if _, ok := h.subs[ch]; ok {
			delete(h.subs, ch)
			close(ch)
		}
	})
	return ch
}

// publish hands an event to every subscriber; one that is full loses its oldest.
func (h *hub) publish(e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for ch := range h.subs {
		for sent := false; !sent; {
			select {
			case ch <- e:
				sent = true
			default:
				select {
				case <-ch:
				default:
				}
			}
		}
	}
}

func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for ch := range h.subs {
		delete(h.subs, ch)
		close(ch)
	}
}

// emit publishes what happened to a sandbox (containerID equal to its id) or to one of its containers.
func (m *Manager) emit(kind EventKind, s *sandbox, containerID string, removed bool) {
	e := Event{Kind: kind, Time: time.Now(), ContainerID: containerID, SandboxID: s.id}
	if !removed {
		e.Sandbox = s.status.Load()
	}
	for _, c := range s.allContainers() {
		e.Containers = append(e.Containers, *c.status.Load())
	}
	m.events.publish(e)
}
