//go:build linux

package agent

import (
	"fmt"
	"os"
	"syscall"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/paddock-run/paddock/guest/api"
)

// PauseArg makes the agent's program the first process of a pod's PID namespace.
const PauseArg = "pause"

// pidNamespace is the PID namespace of a container; nil for the VM's own.
func (a *Agent) pidNamespace(mode api.PIDMode, target string) (*specs.LinuxNamespace, error) {
	switch mode {
	case api.PIDMode_PID_MODE_CONTAINER:
		return &specs.LinuxNamespace{Type: specs.PIDNamespace}, nil
	case api.PIDMode_PID_MODE_NODE:
		return nil, nil
	case api.PIDMode_PID_MODE_POD:
		pid, err := a.podPID()
		if err != nil {
			return nil, err
		}
		return namespaceOf(pid), nil
	case api.PIDMode_PID_MODE_TARGET:
		c, err := a.container(target)
		if err != nil {
			return nil, err
		}
		if c.init.ending() != nil {
			return nil, wrongState("target container %q has ended", target)
		}
		return namespaceOf(c.init.pid()), nil
	}
	return nil, invalid("unknown PID mode %v", mode)
}

func namespaceOf(pid int) *specs.LinuxNamespace {
	return &specs.LinuxNamespace{Type: specs.PIDNamespace, Path: fmt.Sprintf("/proc/%d/ns/pid", pid)}
}

// podPID is the first process of the pod's shared PID namespace, which is made
// when the first container asks for it.
func (a *Agent) podPID() (int, error) {
	s := &a.sandbox
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pause != nil {
		return s.pause.PID, nil
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	proc, err := a.reaper.Spawn("/proc/self/exe", []string{"paddock-pause", PauseArg}, &syscall.ProcAttr{
		Dir:   "/",
		Files: []uintptr{null.Fd(), null.Fd(), null.Fd()},
		Sys:   &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID, Setsid: true},
	})
	if err != nil {
		return 0, fmt.Errorf("make the pod's PID namespace: %w", err)
	}
	s.pause = proc
	return proc.PID, nil
}
