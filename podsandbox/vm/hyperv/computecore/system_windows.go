package computecore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/windows"

	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/schema"
)

// ErrClosed: the System has been closed.
var ErrClosed = errors.New("compute system handle is closed")

// System is an open compute system. Its methods may be called concurrently.
type System struct {
	id     string
	handle uintptr

	mu     sync.Mutex
	uses   int // calls that hold the handle
	closed bool
	events *queue // nil until Notify
}

// Create makes a system from a document. It is not running yet.
func Create(ctx context.Context, id string, document *schema.ComputeSystem) (*System, error) {
	text, err := json.Marshal(document)
	if err != nil {
		return nil, err
	}
	name, doc, err := wideBoth(id, string(text))
	if err != nil {
		return nil, err
	}
	s := &System{id: id}
	_, err = run(ctx, "HcsCreateComputeSystem", func(operation uintptr) HRESULT {
		return hcsCreateComputeSystem(name, doc, operation, nil, &s.handle)
	}, func(o outcome, late bool) {
		if late && o.err == nil {
			_ = s.Terminate(context.Background())
		}
		if late || o.err != nil {
			s.Close()
		}
	})
	if err != nil {
		return nil, fmt.Errorf("create compute system %s: %w", id, err)
	}
	return s, nil
}

// Open opens a system that exists.
func Open(id string) (*System, error) {
	name, err := wide(id)
	if err != nil {
		return nil, err
	}
	s := &System{id: id}
	if hr := hcsOpenComputeSystem(name, windows.GENERIC_ALL, &s.handle); hr.Failed() {
		return nil, fmt.Errorf("open compute system %s: %w", id, newError("HcsOpenComputeSystem", hr, ""))
	}
	return s, nil
}

// List tells of the systems of an owner.
func List(ctx context.Context, owner string) ([]schema.SystemSummary, error) {
	query, err := json.Marshal(schema.SystemQuery{Owners: []string{owner}})
	if err != nil {
		return nil, err
	}
	q, err := wide(string(query))
	if err != nil {
		return nil, err
	}
	answer, err := run(ctx, "HcsEnumerateComputeSystems", func(operation uintptr) HRESULT {
		return hcsEnumerateComputeSystems(q, operation)
	}, func(outcome, bool) {})
	if err != nil {
		return nil, fmt.Errorf("list compute systems: %w", err)
	}
	var all []schema.SystemSummary
	if answer == "" {
		return nil, nil
	}
	if err := json.Unmarshal([]byte(answer), &all); err != nil {
		return nil, fmt.Errorf("list compute systems: %w", err)
	}
	return all, nil
}

// ID is what the system was created or opened as.
func (s *System) ID() string { return s.id }

// use holds the handle; the function returned lets it go.
func (s *System) use() (func(), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("compute system %s: %w", s.id, ErrClosed)
	}
	s.uses++
	return func() {
		s.mu.Lock()
		s.uses--
		last := s.closed && s.uses == 0
		s.mu.Unlock()
		if last {
			s.free()
		}
	}, nil
}

// operate runs an operation on the system, whose handle it holds until its end.
func (s *System) operate(ctx context.Context, call string, options any, f func(operation uintptr, options *uint16) HRESULT) (string, error) {
	var text string
	if options != nil {
		b, err := json.Marshal(options)
		if err != nil {
			return "", err
		}
		text = string(b)
	}
	doc, err := wide(text)
	if err != nil {
		return "", err
	}
	letGo, err := s.use()
	if err != nil {
		return "", err
	}
	answer, err := run(ctx, call, func(operation uintptr) HRESULT { return f(operation, doc) }, func(outcome, bool) { letGo() })
	if err != nil {
		return "", fmt.Errorf("compute system %s: %w", s.id, err)
	}
	return answer, nil
}

// Start starts a system that was created.
func (s *System) Start(ctx context.Context) error {
	_, err := s.operate(ctx, "HcsStartComputeSystem", nil, func(op uintptr, options *uint16) HRESULT {
		return hcsStartComputeSystem(s.handle, op, options)
	})
	return err
}

// ShutDown asks the guest to power off; its end comes as an event.
func (s *System) ShutDown(ctx context.Context) error {
	_, err := s.operate(ctx, "HcsShutDownComputeSystem", nil, func(op uintptr, options *uint16) HRESULT {
		return hcsShutDownComputeSystem(s.handle, op, options)
	})
	return err
}

// Terminate ends the system at once; its end comes as an event.
func (s *System) Terminate(ctx context.Context) error {
	_, err := s.operate(ctx, "HcsTerminateComputeSystem", nil, func(op uintptr, options *uint16) HRESULT {
		return hcsTerminateComputeSystem(s.handle, op, options)
	})
	return err
}

// Pause stops the system's processors.
func (s *System) Pause(ctx context.Context) error {
	_, err := s.operate(ctx, "HcsPauseComputeSystem", schema.PauseOptions{SuspensionLevel: "Suspend"}, func(op uintptr, options *uint16) HRESULT {
		return hcsPauseComputeSystem(s.handle, op, options)
	})
	return err
}

// Resume lets a paused system go on.
func (s *System) Resume(ctx context.Context) error {
	_, err := s.operate(ctx, "HcsResumeComputeSystem", nil, func(op uintptr, options *uint16) HRESULT {
		return hcsResumeComputeSystem(s.handle, op, options)
	})
	return err
}

// Save writes the state of a paused system to a file.
func (s *System) Save(ctx context.Context, options schema.SaveOptions) error {
	_, err := s.operate(ctx, "HcsSaveComputeSystem", options, func(op uintptr, options *uint16) HRESULT {
		return hcsSaveComputeSystem(s.handle, op, options)
	})
	return err
}

// Modify changes a running system.
func (s *System) Modify(ctx context.Context, request schema.ModifySettingRequest) error {
	_, err := s.operate(ctx, "HcsModifyComputeSystem", request, func(op uintptr, document *uint16) HRESULT {
		return hcsModifyComputeSystem(s.handle, op, document, 0)
	})
	if err != nil {
		return fmt.Errorf("%s %s: %w", request.RequestType, request.ResourcePath, err)
	}
	return nil
}

// Properties asks for the basic properties and those of these types.
func (s *System) Properties(ctx context.Context, types ...string) (*schema.Properties, error) {
	answer, err := s.operate(ctx, "HcsGetComputeSystemProperties", schema.PropertyQuery{PropertyTypes: types}, func(op uintptr, query *uint16) HRESULT {
		return hcsGetComputeSystemProperties(s.handle, op, query)
	})
	if err != nil {
		return nil, err
	}
	p := new(schema.Properties)
	if err := json.Unmarshal([]byte(answer), p); err != nil {
		return nil, fmt.Errorf("properties of compute system %s: %w", s.id, err)
	}
	return p, nil
}

// Close lets go of the system, which goes on; no more events come. The handle
// is freed when the last operation on it has ended.
func (s *System) Close() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	free := s.uses == 0
	s.mu.Unlock()
	if free {
		s.free()
	}
}

// free is called once, when nothing uses the handle.
func (s *System) free() {
	if s.handle != 0 {
		hcsCloseComputeSystem(s.handle) // unregisters the callback
	}
	if s.events != nil {
		s.events.close()
	}
}

// GrantAccess lets a system's virtual machine open a file.
func GrantAccess(id, path string) error {
	return access(id, path, "HcsGrantVmAccess", hcsGrantVmAccess)
}

// RevokeAccess undoes GrantAccess.
func RevokeAccess(id, path string) error {
	return access(id, path, "HcsRevokeVmAccess", hcsRevokeVmAccess)
}

func access(id, path, call string, f func(id, path *uint16) HRESULT) error {
	name, file, err := wideBoth(id, path)
	if err != nil {
		return err
	}
	if hr := f(name, file); hr.Failed() {
		return fmt.Errorf("access of compute system %s to %s: %w", id, path, newError(call, hr, ""))
	}
	return nil
}

func wideBoth(a, b string) (*uint16, *uint16, error) {
	x, err := wide(a)
	if err != nil {
		return nil, nil, err
	}
	y, err := wide(b)
	return x, y, err
}
