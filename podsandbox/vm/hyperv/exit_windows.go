package hyperv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/podsandbox/vm"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/computecore"
)

const (
	// reopenTime is how long a VM is looked for after the host service has ended.
	reopenTime  = time.Minute
	reopenPause = 250 * time.Millisecond
	// lookPause is how often the end that was asked for is looked for, should its event be lost.
	lookPause = 5 * time.Second
)

// onEvent is called with the system's events, one after the other.
func (v *VM) onEvent(e computecore.Event) {
	switch e.Type {
	case computecore.SystemCrashInitiated, computecore.SystemCrashReport:
		klog.InfoS("A VM's guest crashed", "vm", v.state.ID, "report", clip(e.Data))
		v.mu.Lock()
		v.crashed = true
		v.mu.Unlock()
	case computecore.SystemExited:
		v.mu.Lock()
		crashed, verdict := v.crashed, v.verdict
		v.mu.Unlock()
		kind, detail := classifyExit(e.Data, crashed)
		if verdict != "" {
			kind, detail = vm.ExitCrash, verdict
		}
		v.settle(vm.Exit{Kind: kind, Time: time.Now(), Detail: detail})
	case computecore.ServiceDisconnect:
		go v.reopen()
	}
}

// reopen finds the VM again when the host service is back.
func (v *VM) reopen() {
	ctx, cancel := context.WithTimeout(context.Background(), reopenTime)
	defer cancel()
	var err error
	for ctx.Err() == nil && v.running() == nil {
		var system *computecore.System
		system, err = computecore.Open(v.state.systemID())
		if errors.Is(err, computecore.SystemNotFound) {
			break
		}
		if err == nil {
			if err = v.hold(system); err == nil {
				err = v.look(ctx)
			}
			if err == nil {
				klog.InfoS("The host service is back, and the VM lives", "vm", v.state.ID)
				return
			}
		}
		select {
		case <-time.After(reopenPause):
		case <-ctx.Done():
		case <-v.exited:
		}
	}
	if v.running() == nil {
		v.settle(vm.Exit{Kind: vm.ExitHostLost, Time: time.Now(), Detail: fmt.Sprintf("the Host Compute Service ended, and the VM with it: %v", err)})
	}
}

// settle notes how the VM ended. The first reason stays, across daemons.
func (v *VM) settle(e vm.Exit) {
	if v.isSettled() {
		return
	}
	v.settling.Do(func() {
		if _, err := os.Stat(filepath.Join(v.dir, terminatedFile)); err == nil {
			e.Kind, e.Detail = vm.ExitTerminated, "terminated by the host"
		}
		v.exit = e
		if err := writeJSON(filepath.Join(v.dir, exitFile), e); err != nil && !errors.Is(err, os.ErrNotExist) {
			klog.ErrorS(err, "Cannot note how a VM ended", "vm", v.state.ID)
		}
		close(v.exited)
	})
}

// unseenEnd is the end of a VM while nobody listened.
func (v *VM) unseenEnd() vm.Exit {
	e := vm.Exit{Kind: vm.ExitKilled, Time: time.Now(), Detail: "it ended while no daemon ran; the host service does not tell how"}
	if v.state.RuntimeID == "" {
		e.Detail = "the daemon died while making the VM"
	}
	return e
}

// Terminate implements vm.VM.
func (v *VM) Terminate(ctx context.Context) error {
	if err := v.running(); err != nil {
		return err
	}
	// Noted first, so that a daemon dying here does not take it for a crash.
	if err := os.WriteFile(filepath.Join(v.dir, terminatedFile), nil, 0o600); err != nil {
		return fmt.Errorf("terminate VM %s: %w", v.state.ID, err)
	}
	err := v.compute().Terminate(ctx)
	for _, ended := range []computecore.HRESULT{computecore.SystemStopped, computecore.SystemNotFound, computecore.OperationPending} {
		if errors.Is(err, ended) {
			err = nil
		}
	}
	if err != nil {
		if v.running() != nil {
			return nil // it ended meanwhile
		}
		return fmt.Errorf("terminate VM %s: %w", v.state.ID, typed(err))
	}
	return v.awaitExit(ctx, "terminate")
}

// Shutdown implements vm.VM. A guest whose agent does not answer is asked by the host
// service. A Windows VM's containers are ended, and the VM then: its disk goes with it.
func (v *VM) Shutdown(ctx context.Context) error {
	if err := v.running(); err != nil {
		return err
	}
	if v.guest != nil {
		err := v.withAgent(ctx, func(agent api.AgentService) error {
			_, err := agent.Shutdown(ctx, &api.ShutdownRequest{KeepPower: true})
			return err
		})
		if err != nil {
			klog.FromContext(ctx).V(2).Info("A Windows guest cannot end its containers", "vm", v.state.ID, "err", err)
		}
		return v.Terminate(ctx)
	}
	err := v.withAgent(ctx, func(agent api.AgentService) error {
		_, err := agent.Shutdown(ctx, &api.ShutdownRequest{})
		return err
	})
	if err != nil && v.running() == nil {
		if err := v.compute().ShutDown(ctx); err != nil {
			klog.FromContext(ctx).V(2).Info("The host service cannot shut a VM down", "vm", v.state.ID, "err", err)
		}
	}
	return v.awaitExit(ctx, "shut down")
}

// awaitExit waits for the VM's end, by its event; an event that is lost is made up for.
func (v *VM) awaitExit(ctx context.Context, what string) error {
	look := time.NewTicker(lookPause)
	defer look.Stop()
	for {
		select {
		case <-v.exited:
			return nil
		case <-look.C:
			if err := v.look(ctx); err != nil && ctx.Err() == nil {
				klog.FromContext(ctx).V(2).Info("Cannot tell whether a VM has ended", "vm", v.state.ID, "err", err)
			}
		case <-ctx.Done():
			return fmt.Errorf("%s VM %s: %w", what, v.state.ID, ctx.Err())
		}
	}
}
