package qemu

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/paddock-run/paddock/podsandbox/vm"
	"github.com/paddock-run/paddock/podsandbox/vm/qemu/qmp"
)

func (v *VM) qmp() *qmp.Conn {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.monitor
}

// command runs a QMP command. The monitor is reached for once more when a
// connection broke while the VM goes on.
func (v *VM) command(ctx context.Context, name string, args, result any) error {
	return v.commandFD(ctx, -1, name, args, result)
}

func (v *VM) commandFD(ctx context.Context, fd int, name string, args, result any) error {
	m := v.qmp()
	if m == nil || isDone(m.Done()) {
		if err := v.connect(ctx); err != nil {
			return err
		}
		m = v.qmp()
	}
	if fd >= 0 {
		return v.orExited(m.ExecuteFD(ctx, fd, name, args, result))
	}
	return v.orExited(m.Execute(ctx, name, args, result))
}

// onEvent is told QEMU's events.
func (v *VM) onEvent(e qmp.Event) {
	if e.Name != "DEVICE_DELETED" {
		return
	}
	var data struct {
		Device string `json:"device"`
	}
	if json.Unmarshal(e.Data, &data) != nil || data.Device == "" {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if gone := v.deleted[data.Device]; gone != nil {
		close(gone)
		delete(v.deleted, data.Device)
	}
}

// unplug removes a device and waits until it is gone. One that is absent is fine.
func (v *VM) unplug(ctx context.Context, device string) error {
	gone := make(chan struct{})
	v.mu.Lock()
	v.deleted[device] = gone
	v.mu.Unlock()
	defer func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		delete(v.deleted, device)
	}()
	err := v.command(ctx, "device_del", map[string]any{"id": device}, nil)
	if isAbsent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	select {
	case <-gone:
		return nil
	case <-v.exited:
		return v.running()
	case <-ctx.Done():
		return fmt.Errorf("wait for the guest to let go of %s: %w", device, ctx.Err())
	}
}

// isAbsent tells QEMU's refusals that mean: there is no such thing.
func isAbsent(err error) bool {
	var refused *qmp.Error
	if !errors.As(err, &refused) {
		return false
	}
	return refused.Class == "DeviceNotFound" || strings.Contains(refused.Desc, "not found") ||
		strings.Contains(refused.Desc, "Failed to find node") || strings.Contains(refused.Desc, "File descriptor named")
}

// saveDevices writes the state's device tables down. Called with v.devices held.
func (v *VM) saveDevices() error { return writeState(v.dir, v.state) }

// hostFile opens what QEMU gets by descriptor: its own user may open nothing.
func hostFile(d vm.Disk) (*os.File, os.FileMode, error) {
	flags := os.O_RDWR
	if d.ReadOnly {
		flags = os.O_RDONLY
	}
	f, err := os.OpenFile(d.Path, flags, 0)
	if err != nil {
		return nil, 0, err
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	if t := st.Mode().Type(); t != 0 && t != os.ModeDevice {
		f.Close()
		return nil, 0, fmt.Errorf("%s is neither a regular file nor a block device: %w", d.Path, vm.ErrInvalid)
	}
	return f, st.Mode().Type(), nil
}
