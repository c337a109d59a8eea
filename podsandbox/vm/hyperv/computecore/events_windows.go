package computecore

import (
	"fmt"
	"sync"
	"unsafe"

	"golang.org/x/sys/windows"
)

// EventType is what an Event tells.
type EventType uint32

// Events of a system.
const (
	SystemExited          EventType = 1 // the data is a schema.SystemExitStatus
	SystemCrashInitiated  EventType = 2
	SystemCrashReport     EventType = 3
	GuestConnectionClosed EventType = 6
	ServiceDisconnect     EventType = 0x02000000 // the Host Compute Service has ended
)

// Event is a notice about a system. Data is a JSON document, or empty.
type Event struct {
	Type EventType
	Data string
}

// maxEventData bounds what is kept of an event's data: a guest takes part in crash reports.
const maxEventData = 64 << 10

// hcsEvent is HCS_EVENT of computedefs.h; operation is not set for our callbacks.
type hcsEvent struct {
	kind      EventType
	data      *uint16
	operation uintptr
}

// registry finds the queue that a callback's context means.
var registry = struct {
	mu     sync.Mutex
	next   uintptr
	queues map[uintptr]*queue
}{queues: map[uintptr]*queue{}}

// callback is the process's one: their number is limited and none is ever freed.
var callback = sync.OnceValue(func() uintptr { return windows.NewCallback(onEvent) })

// onEvent runs on a thread of computecore's, which must not be held up.
func onEvent(event *hcsEvent, context uintptr) uintptr {
	registry.mu.Lock()
	q := registry.queues[context]
	registry.mu.Unlock()
	if q != nil && event != nil {
		q.put(Event{Type: event.kind, Data: boundedString(event.data)})
	}
	return 0
}

// boundedString copies a string that the service frees after the callback.
func boundedString(p *uint16) string {
	if p == nil {
		return ""
	}
	units := unsafe.Slice(p, maxEventData)
	for i, u := range units { // no further than its end
		if u == 0 {
			return windows.UTF16ToString(units[:i])
		}
	}
	return windows.UTF16ToString(units)
}

// queue hands events to a function, one after the other, on a goroutine of its own.
type queue struct {
	context uintptr
	deliver func(Event)

	mu      sync.Mutex
	waiting []Event
	running bool
	closed  bool
}

func (q *queue) put(e Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	q.waiting = append(q.waiting, e)
	if !q.running {
		q.running = true
		go q.run()
	}
}

func (q *queue) run() {
	for {
		q.mu.Lock()
		if len(q.waiting) == 0 || q.closed {
			q.running = false
			q.mu.Unlock()
			return
		}
		e := q.waiting[0]
		q.waiting = q.waiting[1:]
		q.mu.Unlock()
		q.deliver(e)
	}
}

func (q *queue) close() {
	registry.mu.Lock()
	delete(registry.queues, q.context)
	registry.mu.Unlock()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed, q.waiting = true, nil
}

// Notify has deliver called with every event from now on, one at a time. It may be called once.
func (s *System) Notify(deliver func(Event)) error {
	letGo, err := s.use()
	if err != nil {
		return err
	}
	defer letGo()
	q := &queue{deliver: deliver}
	registry.mu.Lock()
	registry.next++
	q.context = registry.next
	registry.queues[q.context] = q
	registry.mu.Unlock()
	if hr := hcsSetComputeSystemCallback(s.handle, 0, q.context, callback()); hr.Failed() {
		q.close()
		return fmt.Errorf("compute system %s: %w", s.id, newError("HcsSetComputeSystemCallback", hr, ""))
	}
	s.mu.Lock()
	s.events = q
	s.mu.Unlock()
	return nil
}
