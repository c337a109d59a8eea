//go:build linux

package crun

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/guest/agent/reaper"
)

// maxLog bounds what is read of the runtime's log, in bytes.
const maxLog = 64 << 10

// Runtime runs crun.
type Runtime struct {
	Program *Sealed
	Root    string // crun's state directory
	Reaper  *reaper.Reaper
	// FixedAddresses has crun run at the same addresses every time, so that an
	// emulator that translates code by its address does so once. What crun runs has
	// to be given a personality of its own: see the specification's linux.personality.
	FixedAddresses bool
}

// Process says how to start a container's init or a further process.
type Process struct {
	// Dir is a directory of this start alone, for the runtime's log and PID file.
	Dir string
	// Console is the socket that receives the terminal; "" for none.
	Console string
	// Stdio are the process's 0, 1 and 2.
	Stdio [3]*os.File
}

// Create makes the container of the bundle, its init waiting for Start, and
// follows that init.
func (r *Runtime) Create(ctx context.Context, id, bundle string, p Process) (*reaper.Process, error) {
	return r.launch(ctx, p, "create", []string{"--bundle", bundle}, id)
}

// Exec starts a process of the OCI process file in a running container.
func (r *Runtime) Exec(ctx context.Context, id, processFile string, p Process) (*reaper.Process, error) {
	return r.launch(ctx, p, "exec", []string{"--detach", "--process", processFile}, id)
}

// Update changes the limits of a container to those of the OCI resources file.
func (r *Runtime) Update(ctx context.Context, dir, id, resourcesFile string) error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	return r.run(ctx, Process{Dir: dir, Stdio: [3]*os.File{null, null, null}}, "update", []string{"--resources", resourcesFile}, id)
}

// Start lets a created container's init run its program: what `crun start`
// does, which is to write to a FIFO that init reads.
func (r *Runtime) Start(id string) error {
	fifo := filepath.Join(r.Root, id, "exec.fifo")
	fd, err := unix.Open(fifo, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENXIO) {
		return errors.New("the container's init ended before it was started")
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", fifo, err)
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, []byte{0}); err != nil {
		return fmt.Errorf("write %s: %w", fifo, err)
	}
	return os.Remove(fifo)
}

// Forget removes the runtime's state of a container whose processes and cgroup are gone.
func (r *Runtime) Forget(id string) error { return os.RemoveAll(filepath.Join(r.Root, id)) }

func (r *Runtime) launch(ctx context.Context, p Process, command string, args []string, id string) (*reaper.Process, error) {
	pidFile := filepath.Join(p.Dir, command+".pid")
	args = append(args, "--pid-file", pidFile)
	if p.Console != "" {
		args = append(args, "--console-socket", p.Console)
	}
	since := time.Now()
	if err := r.run(ctx, p, command, args, id); err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(pidFile)
	if err != nil {
		return nil, fmt.Errorf("crun %s: %w", command, err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		return nil, fmt.Errorf("crun %s: PID file: %w", command, err)
	}
	return r.Reaper.Follow(pid, since), nil
}

// run runs crun to its end. When ctx ends first crun is killed.
func (r *Runtime) run(ctx context.Context, p Process, command string, args []string, id string) error {
	log := filepath.Join(p.Dir, command+".log")
	argv := append([]string{"crun", "--root", r.Root, "--cgroup-manager=cgroupfs", "--log", log, "--log-format=json", command}, args...)
	argv = append(argv, id)
	proc, err := r.spawn(argv, &syscall.ProcAttr{
		Env:   []string{"PATH=" + os.Getenv("PATH")},
		Files: []uintptr{p.Stdio[0].Fd(), p.Stdio[1].Fd(), p.Stdio[2].Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return err
	}
	select {
	case <-proc.Done():
	case <-ctx.Done():
		r.Reaper.Signal(proc, unix.SIGKILL)
		<-proc.Done()
		return fmt.Errorf("crun %s: %w", command, ctx.Err())
	}
	if exit := proc.Exit(); exit.Code != 0 {
		return &Error{Command: command, Code: exit.Code, Message: readLog(log)}
	}
	return nil
}

// addrNoRandomize is ADDR_NO_RANDOMIZE of personality(2).
const addrNoRandomize = 0x0040000

// spawn starts crun, from a thread whose personality it inherits.
func (r *Runtime) spawn(argv []string, attr *syscall.ProcAttr) (*reaper.Process, error) {
	if !r.FixedAddresses {
		return r.Reaper.Spawn(r.Program.path(), argv, attr)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	was, _, errno := unix.RawSyscall(unix.SYS_PERSONALITY, addrNoRandomize, 0, 0)
	if errno != 0 {
		return nil, fmt.Errorf("personality: %w", errno)
	}
	defer unix.RawSyscall(unix.SYS_PERSONALITY, was, 0, 0)
	return r.Reaper.Spawn(r.Program.path(), argv, attr)
}

// Error is a failure that crun reported.
type Error struct {
	Command string
	Code    uint32
	Message string
}

func (e *Error) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("crun %s failed with code %d", e.Command, e.Code)
	}
	return e.Message
}

// readLog joins the errors of a JSON log, without naming one twice.
func readLog(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	raw := make([]byte, maxLog)
	n, _ := f.Read(raw)
	var messages []string
	lines := bufio.NewScanner(bytes.NewReader(raw[:n]))
	for lines.Scan() {
		var entry struct{ Level, Msg string }
		if json.Unmarshal(lines.Bytes(), &entry) == nil && entry.Level == "error" && entry.Msg != "" {
			messages = append(messages, entry.Msg)
		}
	}
	return strings.Join(messages, "; ")
}
