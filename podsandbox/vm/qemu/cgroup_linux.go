package qemu

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/podsandbox/hostcgroup"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

// JoinCgroup implements vm.VM.
func (v *VM) JoinCgroup(ctx context.Context, parent string) error {
	if err := v.running(); err != nil {
		return err
	}
	v.devices.Lock()
	defer v.devices.Unlock()
	if v.state.Config.CgroupParent != "" {
		return fmt.Errorf("VM %s: it is in a cgroup of %s: %w", v.state.ID, v.state.Config.CgroupParent, vm.ErrInvalid)
	}
	if parent == "" {
		return nil
	}
	next := *v.state
	next.Config.CgroupParent = parent
	next.Cgroups = joinCgroups(ctx, parent, next.ID, next.PID)
	if err := writeState(v.dir, &next); err != nil {
		return fmt.Errorf("VM %s: %w", next.ID, err)
	}
	v.state.Config.CgroupParent, v.state.Cgroups = next.Config.CgroupParent, next.Cgroups
	return nil
}

// joinCgroups puts a process into a cgroup of its own below the pod's, in every
// hierarchy where kubelet has made the pod's, and returns the directories made.
// A pod without cgroups runs too; what fails is logged.
func joinCgroups(ctx context.Context, parent, id string, pid int) []string {
	var made []string
	for _, pod := range hostcgroup.Dirs(parent) {
		if _, err := os.Stat(pod); err != nil {
			continue
		}
		dir := filepath.Join(pod, "paddock-"+id)
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			klog.FromContext(ctx).Error(err, "Cannot make the VM's cgroup", "vm", id)
			continue
		}
		made = append(made, dir)
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0); err != nil {
			klog.FromContext(ctx).Error(err, "Cannot put the VM into its cgroup", "vm", id, "cgroup", dir)
		}
	}
	return made
}

// removeCgroups removes what joinCgroups made; the kernel may need a moment
// after the last process has ended.
func removeCgroups(dirs []string) error {
	for _, dir := range dirs {
		deadline := time.Now().Add(2 * time.Second)
		for {
			err := os.Remove(dir)
			if err == nil || errors.Is(err, fs.ErrNotExist) {
				break
			}
			if !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
				return fmt.Errorf("remove cgroup: %w", err)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	return nil
}
