package vmtest

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/containerd/ttrpc"

	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/guest/channel"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

// fakeVM is one process's hold on a machine.
type fakeVM struct {
	*machine
	host *Fake
}

var _ vm.VM = (*fakeVM)(nil)

func newFakeVM(f *Fake, m *machine) *fakeVM { return &fakeVM{machine: m, host: f} }

func (v *fakeVM) ID() string { return v.cfg.ID }

func (v *fakeVM) running() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.alive()
}

func (v *fakeVM) Dial(ctx context.Context, port uint32) (net.Conn, error) {
	if err := v.running(); err != nil {
		return nil, err
	}
	c, err := v.guest.dial(ctx, port)
	if err != nil && v.running() != nil {
		return nil, v.running()
	}
	return c, err
}

// ShareChannel is in no scheme that a real channel has; see Fake.DialGuest.
func (v *fakeVM) ShareChannel() channel.Address { return channel.Address("fake:" + v.cfg.ID) }

func (v *fakeVM) AttachDisk(ctx context.Context, disk vm.Disk) (vm.DiskAddress, error) {
	if err := ctx.Err(); err != nil {
		return vm.DiskAddress{}, err
	}
	if err := disk.Validate(); err != nil {
		return vm.DiskAddress{}, err
	}
	if disk.Content != vm.DiskContent && v.cfg.GuestOS == guest.Windows {
		return v.attachDisk(disk)
	}
	if disk.Content != vm.DiskContent {
		return vm.DiskAddress{}, fmt.Errorf("attach disk: content of kind %d: %w", disk.Content, vm.ErrUnsupported)
	}
	st, err := os.Stat(disk.Path)
	if err != nil {
		return vm.DiskAddress{}, fmt.Errorf("attach disk: %w", err)
	}
	if st.IsDir() {
		return vm.DiskAddress{}, fmt.Errorf("attach disk: %s is a directory: %w", disk.Path, vm.ErrInvalid)
	}
	return v.attachDisk(disk)
}

func (v *fakeVM) DetachDisk(_ context.Context, addr vm.DiskAddress) error { return v.detachDisk(addr) }

func (v *fakeVM) AttachNIC(_ context.Context, nic vm.NIC) error {
	if err := nic.Validate(); err != nil {
		return err
	}
	return v.attachNIC(nic)
}

func (v *fakeVM) DetachNIC(_ context.Context, id string) error { return v.detachNIC(id) }

// fakeBornMAC is the same for all, as those of clones are.
var fakeBornMAC = net.HardwareAddr{2, 0, 0, 0, 0, 9}

func (v *fakeVM) BornMAC() net.HardwareAddr {
	if v.cfg.Endpoint == nil {
		return nil
	}
	return fakeBornMAC
}

func (v *fakeVM) JoinCgroup(_ context.Context, parent string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.alive(); err != nil {
		return err
	}
	if v.cfg.CgroupParent != "" {
		return fmt.Errorf("VM %s has a cgroup: %w", v.cfg.ID, vm.ErrInvalid)
	}
	v.cfg.CgroupParent = parent
	return nil
}

func (v *fakeVM) Resize(_ context.Context, r vm.Resources) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.alive(); err != nil {
		return err
	}
	if r.MemoryBytes > FakeMemory {
		return fmt.Errorf("%d bytes of memory for VM %s: %w", r.MemoryBytes, v.cfg.ID, vm.ErrUnsupported)
	}
	if r.CPUs > FakeCPUs {
		return fmt.Errorf("%d CPUs for VM %s: %w", r.CPUs, v.cfg.ID, vm.ErrUnsupported)
	}
	v.size.CPUs = max(v.size.CPUs, r.CPUs)
	if r.MemoryBytes != 0 {
		v.size.MemoryBytes = max(r.MemoryBytes, v.cfg.Resources.MemoryBytes)
	}
	return nil
}

func (v *fakeVM) Stats(context.Context) (vm.Stats, error) {
	if err := v.running(); err != nil {
		return vm.Stats{}, err
	}
	return vm.Stats{Time: time.Now(), CPU: time.Millisecond, MemoryBytes: v.cfg.Resources.MemoryBytes}, nil
}

func (v *fakeVM) Exited() <-chan struct{} { return v.exited }

func (v *fakeVM) ExitReason() vm.Exit {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.exit
}

func (v *fakeVM) Shutdown(ctx context.Context) error {
	conn, err := v.Dial(ctx, api.ControlPort)
	if err != nil {
		return err
	}
	client := ttrpc.NewClient(conn)
	defer client.Close()
	if _, err := api.NewAgentClient(client).Shutdown(ctx, &api.ShutdownRequest{}); err != nil && v.running() == nil {
		return fmt.Errorf("shut VM %s down: %w", v.cfg.ID, err)
	}
	select {
	case <-v.exited:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("shut VM %s down: %w", v.cfg.ID, ctx.Err())
	}
}

func (v *fakeVM) Terminate(context.Context) error {
	if err := v.running(); err != nil {
		return err
	}
	v.end(vm.ExitTerminated, "terminated")
	return nil
}

func (v *fakeVM) Release() error {
	if v.running() == nil {
		return fmt.Errorf("release VM %s: it is running: %w", v.cfg.ID, vm.ErrInvalid)
	}
	v.host.remove(v.machine)
	return nil
}

func (v *fakeVM) Close() error { return nil }
