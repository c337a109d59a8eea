//go:build linux

package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/guest/agent/boot"
	"github.com/paddock-run/paddock/guest/agent/cgroup"
	"github.com/paddock-run/paddock/guest/api"
)

const (
	// termGrace is how long processes have to end by themselves when the VM shuts down.
	termGrace = 2 * time.Second
	// answerGrace lets the answer to Shutdown reach the host before the power goes.
	answerGrace = 50 * time.Millisecond
)

// Shutdown ends everything and powers the VM off, or leaves that to the host.
func (a *Agent) Shutdown(_ context.Context, req *api.ShutdownRequest) (*api.ShutdownResponse, error) {
	a.mu.Lock()
	again := a.poweringOff
	a.poweringOff = true
	a.mu.Unlock()
	if again {
		return &api.ShutdownResponse{}, nil
	}
	if req.KeepPower {
		return &api.ShutdownResponse{}, a.writeBack()
	}
	a.endContainers()
	if err := a.shares.Close(); err != nil {
		klog.ErrorS(err, "unmount shares")
	}
	unix.Sync()
	if err := unix.Unmount(scratchDir, unix.MNT_DETACH); err != nil && err != unix.EINVAL && err != unix.ENOENT {
		klog.ErrorS(err, "unmount the scratch disk")
	}
	time.AfterFunc(answerGrace, func() {
		unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	})
	return &api.ShutdownResponse{}, nil
}

// writeBack is all that a pod needs whose VM the host ends: nothing runs that
// could write any more, and the shares have what was written.
func (a *Agent) writeBack() error {
	ctx, cancel := context.WithTimeout(context.Background(), removeTimeout)
	defer cancel()
	if err := cgroup.KillAll(ctx, boot.PodCgroup); err != nil {
		return fmt.Errorf("end the pod's processes: %w", err)
	}
	return errors.Join(a.shares.Sync(), a.disks.Sync())
}

// endContainers asks every process to end, then makes it.
func (a *Agent) endContainers() {
	pids, err := cgroup.Processes(boot.PodCgroup)
	if err != nil {
		klog.ErrorS(err, "list the pod's processes")
	}
	for _, pid := range pids {
		unix.Kill(pid, unix.SIGTERM)
	}
	for end := time.Now().Add(termGrace); len(pids) > 0 && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
		if pids, err = cgroup.Processes(boot.PodCgroup); err != nil {
			break
		}
	}
	var group errgroup.Group
	for _, c := range a.allContainers() {
		group.Go(func() error { return a.remove(c) })
	}
	if err := group.Wait(); err != nil {
		klog.ErrorS(err, "end the pod's containers")
	}
}
