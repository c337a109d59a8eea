package qemu

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/paddock-run/paddock/podsandbox/vm/qemu/qmp"
)

// settleTime is how long the end of a QEMU may take to be seen after its monitor closed.
const settleTime = 2 * time.Second

// qmpArgs are the named arguments of a monitor command.
type qmpArgs map[string]any

func (v *VM) conn() (*qmp.Conn, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.monitor == nil || v.closed {
		return nil, fmt.Errorf("VM %s: %w", v.state.ID, qmp.ErrClosed)
	}
	return v.monitor, nil
}

// execute runs a monitor command; result may be nil.
func (v *VM) execute(ctx context.Context, command string, arguments qmpArgs, result any) error {
	return v.executeFile(ctx, nil, command, arguments, result)
}

// executeFile runs a monitor command that takes a file along.
func (v *VM) executeFile(ctx context.Context, f *os.File, command string, arguments qmpArgs, result any) error {
	c, err := v.conn()
	if err == nil {
		var a any
		if arguments != nil {
			a = arguments
		}
		if f == nil {
			err = c.Execute(ctx, command, a, result)
		} else {
			err = c.ExecuteFD(ctx, int(f.Fd()), command, a, result)
		}
	}
	if errors.Is(err, qmp.ErrClosed) {
		// The monitor of a running QEMU does not close: QEMU is ending.
		err = v.settle(ctx, err)
	}
	return v.orExited(err)
}

// settle waits a moment for the end of a QEMU whose monitor closed.
func (v *VM) settle(ctx context.Context, err error) error {
	v.mu.Lock()
	closed := v.closed
	v.mu.Unlock()
	if closed {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	select {
	case <-v.exited:
	case <-ctx.Done():
	}
	return err
}

// onEvent runs on the monitor's reader.
func (v *VM) onEvent(e qmp.Event) {
	if e.Name != "DEVICE_DELETED" {
		return
	}
	var d struct{ Device string }
	if json.Unmarshal(e.Data, &d) != nil || d.Device == "" {
		return
	}
	v.mu.Lock()
	gone := v.deleted[d.Device]
	delete(v.deleted, d.Device)
	v.mu.Unlock()
	if gone != nil {
		close(gone)
	}
}

// unplug takes a device away and waits until the guest has let it go.
func (v *VM) unplug(ctx context.Context, id string) error {
	gone := make(chan struct{})
	v.mu.Lock()
	v.deleted[id] = gone
	v.mu.Unlock()
	defer func() {
		v.mu.Lock()
		delete(v.deleted, id)
		v.mu.Unlock()
	}()
	if err := v.execute(ctx, "device_del", qmpArgs{"id": id}, nil); err != nil {
		// A removal asked for earlier and not waited for is still under way.
		if present, perr := v.hasDevice(ctx, id); perr != nil || present && !isPending(err) {
			return err
		} else if !present {
			return nil
		}
	}
	select {
	case <-gone:
		return nil
	case <-v.exited:
		return v.running()
	case <-ctx.Done():
		return fmt.Errorf("wait for the guest to let go of %s: %w", id, ctx.Err())
	}
}

func (v *VM) hasDevice(ctx context.Context, id string) (bool, error) {
	ids, err := v.devicesPlugged(ctx)
	return ids[id], err
}

// devicesPlugged are the ids of all devices that have one.
func (v *VM) devicesPlugged(ctx context.Context) (map[string]bool, error) {
	var list []struct{ Name string }
	if err := v.execute(ctx, "qom-list", qmpArgs{"path": "/machine/peripheral"}, &list); err != nil {
		return nil, err
	}
	ids := make(map[string]bool, len(list))
	for _, d := range list {
		ids[d.Name] = true
	}
	return ids, nil
}

// isPending tells QEMU's refusal of a second removal from other refusals.
func isPending(err error) bool {
	var refused *qmp.Error
	return errors.As(err, &refused) && strings.Contains(refused.Desc, "process of unplug")
}
