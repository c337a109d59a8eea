//go:build linux

package agent

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/guest/agent/reaper"
	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/guest/idmap"
)

// PauseArg makes the agent's program the first process of a pod's PID namespace, which calls Pause.
const PauseArg = "pause"

// emptyDir is the root of that process: a container that sees it can find
// nothing of the VM by way of /proc/1/root.
const emptyDir = runDir + "/empty"

// Pause reaps until the pod ends. It does not return.
func Pause() {
	if err := errors.Join(unix.Chroot(emptyDir), unix.Chdir("/")); err != nil {
		klog.Exit("leave the VM's root: ", err)
	}
	reaper.Start()
	select {}
}

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
	proc, err := a.spawnPause(nil)
	if err != nil {
		return 0, err
	}
	s.pause = proc
	return proc.PID, nil
}

// spawnPause starts the first process of the pod's PID namespace. With ids that
// is root of a new user namespace, which owns new network, IPC and UTS namespaces too.
func (a *Agent) spawnPause(ids *idmap.Range) (*reaper.Process, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	if err := os.MkdirAll(emptyDir, 0o755); err != nil {
		return nil, err
	}
	sys := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID, Setsid: true}
	if ids != nil {
		sys.Cloneflags |= syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS
		mapping := []syscall.SysProcIDMap{{ContainerID: int(ids.Container), HostID: int(ids.Host), Size: int(ids.Size)}}
		sys.UidMappings, sys.GidMappings, sys.GidMappingsEnableSetgroups = mapping, mapping, true
		sys.Credential = &syscall.Credential{}
	}
	proc, err := a.reaper.Spawn("/proc/self/exe", []string{"paddock-pause", PauseArg}, &syscall.ProcAttr{
		Dir:   "/",
		Files: []uintptr{null.Fd(), null.Fd(), null.Fd()},
		Sys:   sys,
	})
	if err != nil {
		return nil, fmt.Errorf("make the pod's namespaces: %w", err)
	}
	return proc, nil
}
