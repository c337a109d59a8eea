package cluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// insideEnv tells the second run of the program that it is isolated.
const insideEnv = "PADDOCK_CLUSTER_ISOLATED"

// Isolate runs the program once more, in a network and a mount namespace of its
// own, and ends with its exit code; that run gets true and goes on. Call it
// first in main.
func Isolate() (bool, error) {
	if os.Getenv(insideEnv) != "" {
		return true, errors.Join(
			// What is mounted here is seen here alone.
			wrap("make mounts private", unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")),
			// /sys shows the namespace of whoever mounted it: the bridge's ports, for one.
			wrap("mount /sys", remountSys()),
			run("ip", "link", "set", "lo", "up"),
		)
	}
	exe, err := os.Executable()
	if err != nil {
		return false, err
	}
	runtime.LockOSThread() // Pdeathsig is about the thread that started the child
	cmd := exec.Command(exe, os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), insideEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS, Pdeathsig: unix.SIGTERM}
	// The child hears Ctrl-C itself, and cleans up.
	signal.Ignore(os.Interrupt)
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() >= 0 {
		os.Exit(exit.ExitCode())
	}
	if err != nil {
		return false, fmt.Errorf("run %s in namespaces of its own: %w", exe, err)
	}
	os.Exit(0)
	return false, nil
}

// remountSys mounts sysfs over itself, and what was below it again: the cgroups.
func remountSys() error {
	const cgroups = "/sys/fs/cgroup"
	held, err := unix.OpenTree(unix.AT_FDCWD, cgroups, unix.OPEN_TREE_CLONE|unix.AT_RECURSIVE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return fmt.Errorf("hold %s: %w", cgroups, err)
	}
	defer unix.Close(held)
	if err := unix.Mount("sysfs", "/sys", "sysfs", 0, ""); err != nil {
		return err
	}
	return unix.MoveMount(held, "", unix.AT_FDCWD, cgroups, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

func wrap(what string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// run runs a command of the machine.
func run(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %v: %w: %s", name, args, err, out)
	}
	return nil
}
