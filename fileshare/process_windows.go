package fileshare

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/windows"

	"github.com/paddock-run/paddock/podsandbox/vm"
)

// process is a running share server, found by its state directory.
type process struct {
	id     int
	handle windows.Handle
	exited chan struct{} // closed when it has ended
	quit   windows.Handle
	once   sync.Once
	done   chan struct{} // closed when the watcher has ended
}

// record names a process beyond the reuse of its id.
type record struct {
	PID     int    `json:"pid"`
	Created uint64 `json:"created"` // in units of 100 ns since 1601
}

// processRights are what the daemon does with a server: watch it, end it, and give it handles.
const processRights = windows.SYNCHRONIZE | windows.PROCESS_TERMINATE | windows.PROCESS_QUERY_LIMITED_INFORMATION | windows.PROCESS_DUP_HANDLE

func recordOf(pid int, h windows.Handle) (record, error) {
	var created, exited, kernel, user windows.Filetime
	if err := windows.GetProcessTimes(h, &created, &exited, &kernel, &user); err != nil {
		return record{}, fmt.Errorf("times of process %d: %w", pid, err)
	}
	return record{PID: pid, Created: uint64(created.HighDateTime)<<32 | uint64(created.LowDateTime)}, nil
}

func recordPath(dir string) string { return filepath.Join(dir, "process.json") }

func writeRecord(dir string, pid int, h windows.Handle) error {
	r, err := recordOf(pid, h)
	if err != nil {
		return err
	}
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return replaceFile(recordPath(dir), data)
}

// openProcess finds the process recorded in dir; vm.ErrNotFound if none runs.
func openProcess(dir string) (*process, error) {
	data, err := os.ReadFile(recordPath(dir))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", vm.ErrNotFound, err)
	}
	var want record
	if err := json.Unmarshal(data, &want); err != nil || want.PID <= 0 {
		return nil, fmt.Errorf("%w: unreadable record %s", vm.ErrNotFound, recordPath(dir))
	}
	h, err := windows.OpenProcess(processRights, false, uint32(want.PID))
	if err != nil {
		return nil, fmt.Errorf("%w: process %d: %w", vm.ErrNotFound, want.PID, err)
	}
	// An id is not given to another process while a handle to it is open.
	now, err := recordOf(want.PID, h)
	if err != nil || now != want || hasExited(h) {
		windows.CloseHandle(h)
		return nil, fmt.Errorf("%w: process %d has ended", vm.ErrNotFound, want.PID)
	}
	quit, err := windows.CreateEvent(nil, 1, 0, nil)
	if err != nil {
		windows.CloseHandle(h)
		return nil, err
	}
	p := &process{id: want.PID, handle: h, exited: make(chan struct{}), quit: quit, done: make(chan struct{})}
	go p.watch()
	return p, nil
}

func hasExited(h windows.Handle) bool {
	event, err := windows.WaitForSingleObject(h, 0)
	return err == nil && event == windows.WAIT_OBJECT_0
}

// watch closes exited when the process ends.
func (p *process) watch() {
	defer close(p.done)
	event, err := windows.WaitForMultipleObjects([]windows.Handle{p.handle, p.quit}, false, windows.INFINITE)
	if err == nil && event == windows.WAIT_OBJECT_0 {
		close(p.exited)
	}
}

// kill ends the process and waits for its end.
func (p *process) kill(done <-chan struct{}) error {
	if err := windows.TerminateProcess(p.handle, 1); err != nil && !hasExited(p.handle) {
		return err
	}
	return p.ended(done)
}

// close drops what is held of the process, which goes on.
func (p *process) close() {
	p.once.Do(func() {
		windows.SetEvent(p.quit)
		<-p.done
		windows.CloseHandle(p.quit)
		windows.CloseHandle(p.handle)
	})
}

// give makes a handle of ours one of the process's, and returns its value there.
func (p *process) give(h windows.Handle) (uint64, error) {
	var theirs windows.Handle
	err := windows.DuplicateHandle(windows.CurrentProcess(), h, p.handle, &theirs, 0, false, windows.DUPLICATE_SAME_ACCESS)
	if err != nil {
		return 0, fmt.Errorf("give the share server a handle: %w", err)
	}
	return uint64(theirs), nil
}
