package fileshare

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/paddock-run/paddock/guest/channel"
)

// ownProgram is the running program, also when its file has been replaced.
func ownProgram() (string, error) { return "/proc/self/exe", nil }

// serverEnv are further variables of a server, for tests.
var serverEnv []string

// start starts a process with the state directory dir. mu is held.
func (p *Processes) start(ctx context.Context, dir string, addr channel.Address) (*process, error) {
	if err := os.Remove(filepath.Join(dir, controlSocket)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	listener, err := listenControl(dir)
	if err != nil {
		return nil, fmt.Errorf("listen for control: %w", err)
	}
	defer listener.Close()
	state, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer state.Close()
	logFile, err := os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer logFile.Close()
	cmd := exec.Command(p.cfg.Exe, ServerCommand, dir, string(addr))
	cmd.ExtraFiles = []*os.File{listener, state} // descriptors 3 and 4
	cmd.Stderr = logFile
	cmd.Env = append([]string{"GODEBUG=" + os.Getenv("GODEBUG")}, serverEnv...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Cloneflags: unix.CLONE_NEWNS}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go cmd.Wait() // reap it; its end is seen through the pidfd
	if err := writeRecord(dir, cmd.Process.Pid); err != nil {
		return nil, errors.Join(err, cmd.Process.Kill())
	}
	proc, err := openProcess(dir)
	if err != nil {
		return nil, withLog(dir, err)
	}
	if err := ping(ctx, dir, proc); err != nil {
		proc.close()
		return nil, errors.Join(withLog(dir, err), cmd.Process.Kill())
	}
	return proc, nil
}
