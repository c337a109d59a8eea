package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/windows/svc"
)

type fakeEvents struct{ lines []string }

func (f *fakeEvents) Info(_ uint32, msg string) error {
	f.lines = append(f.lines, "info: "+msg)
	return nil
}
func (f *fakeEvents) Error(_ uint32, msg string) error {
	f.lines = append(f.lines, "error: "+msg)
	return nil
}

// execute runs the service with a daemon and returns the states that the manager was told.
func execute(t *testing.T, run func(context.Context) error, requests ...svc.Cmd) (states []svc.State, code uint32, log string) {
	t.Helper()
	events := new(fakeEvents)
	s := &service{run: run, events: events}
	ask, tell := make(chan svc.ChangeRequest), make(chan svc.Status)
	ended := make(chan uint32, 1)
	go func() {
		_, code := s.Execute(nil, ask, tell)
		ended <- code
	}()
	patience := time.After(30 * time.Second)
	for {
		var next chan svc.ChangeRequest
		var r svc.ChangeRequest
		if len(requests) > 0 && len(states) > 1 {
			next, r = ask, svc.ChangeRequest{Cmd: requests[0], CurrentStatus: svc.Status{State: svc.Running}}
		}
		select {
		case st := <-tell:
			states = append(states, st.State)
		case next <- r:
			requests = requests[1:]
		case code := <-ended:
			return states, code, strings.Join(events.lines, "\n")
		case <-patience:
			t.Fatalf("the service does not end; states %v", states)
		}
	}
}

func TestServiceStops(t *testing.T) {
	states, code, log := execute(t, func(ctx context.Context) error { <-ctx.Done(); return nil }, svc.Interrogate, svc.Stop)
	if len(states) != 4 || states[2] != svc.Running || states[3] != svc.StopPending || code != 0 || !strings.Contains(log, "has stopped") {
		t.Errorf("states %v, code %d, log %s", states, code, log)
	}
}

// A failure has an exit code, so that the manager's recovery actions apply.
func TestServiceFails(t *testing.T) {
	_, code, log := execute(t, func(context.Context) error { return errors.New("no such guest image") })
	if code == 0 || !strings.Contains(log, "error: Paddock has failed: no such guest image") {
		t.Errorf("code %d, log %s", code, log)
	}
}
