package fileshare

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/windows"

	"github.com/paddock-run/paddock/guest/channel"
)

func ownProgram() (string, error) { return os.Executable() }

// serverEnv are further variables of a server, for tests.
var serverEnv []string

// startTime bounds a server's start.
const startTime = 30 * time.Second

// start starts a process with the state directory dir. mu is held.
func (p *Processes) start(ctx context.Context, dir string, addr channel.Address) (*process, error) {
	logFile, err := os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer logFile.Close()
	cmd := exec.Command(p.cfg.Exe, ServerCommand, dir, string(addr))
	cmd.Stderr = logFile
	cmd.Dir = p.cfg.StateDir // not the daemon's, which it would hold
	cmd.Env = append(serverVariables(), serverEnv...)
	// Out of reach of a console's Ctrl-C, and without one.
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP | windows.DETACHED_PROCESS}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go cmd.Wait() // lets its handle go; its end is seen through our own
	proc, err := started(dir, cmd.Process.Pid)
	if err != nil {
		return nil, errors.Join(err, cmd.Process.Kill())
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	if err := firstPing(ctx, dir, proc); err != nil {
		proc.close()
		return nil, errors.Join(withLog(dir, err), cmd.Process.Kill())
	}
	return proc, nil
}

// firstPing waits until a new process answers, or has ended. It asks more than once: under Wine one
// who comes too early has a pipe that nobody serves (hostpipe.settle).
func firstPing(ctx context.Context, dir string, proc *process) error {
	for {
		once, cancel := context.WithTimeout(ctx, time.Second)
		err := ping(once, dir, proc)
		cancel()
		if err == nil || ctx.Err() != nil || hasExited(proc.handle) {
			return err
		}
	}
}

// started records a process that has been started.
func started(dir string, pid int) (*process, error) {
	h, err := windows.OpenProcess(processRights, false, uint32(pid))
	if err != nil {
		return nil, withLog(dir, fmt.Errorf("open the process %d: %w", pid, err))
	}
	defer windows.CloseHandle(h)
	if err := writeRecord(dir, pid, h); err != nil {
		return nil, err
	}
	proc, err := openProcess(dir)
	if err != nil {
		return nil, withLog(dir, err)
	}
	return proc, nil
}

// serverVariables are what programs of Windows cannot do without, and Go's settings.
func serverVariables() []string {
	var all []string
	for _, name := range append([]string{"SystemRoot", "SystemDrive", "TEMP", "GODEBUG"}, standInVariables...) {
		if value, ok := os.LookupEnv(name); ok {
			all = append(all, name+"="+value)
		}
	}
	return all
}

// unmountExports has nothing to do: guests' mounts are not shown on Windows nodes.
func unmountExports(string, string) error { return nil }
