package qemu

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/paddock-run/paddock/podsandbox/vm"
)

// growTime bounds how long Resize waits for the guest to take memory.
const growTime = 5 * time.Second

const hotMemoryPath = "/machine/peripheral/vmem"

// Resize implements vm.VM: memory grows and shrinks by virtio-mem, processors
// are plugged.
func (v *VM) Resize(ctx context.Context, r vm.Resources) error {
	if err := v.running(); err != nil {
		return err
	}
	v.devices.Lock()
	defer v.devices.Unlock()
	if r.MemoryBytes != 0 {
		if err := v.resizeMemory(ctx, r.MemoryBytes); err != nil {
			return err
		}
	}
	if r.CPUs != 0 {
		return v.addCPUs(ctx, r.CPUs)
	}
	return nil
}

func (v *VM) resizeMemory(ctx context.Context, size uint64) error {
	var hot uint64
	if size > v.state.Memory {
		hot = (size - v.state.Memory + memoryBlock - 1) / memoryBlock * memoryBlock
	}
	if hot > v.state.Hot {
		return fmt.Errorf("VM %s: %d MiB of memory asked for, it can have at most %d MiB: %w",
			v.state.ID, size/mib, (v.state.Memory+v.state.Hot)/mib, vm.ErrUnsupported)
	}
	if v.state.Hot == 0 {
		return nil
	}
	set := qmpArgs{"path": hotMemoryPath, "property": "requested-size", "value": hot}
	if err := v.execute(ctx, "qom-set", set, nil); err != nil {
		return v.orExited(fmt.Errorf("resize VM %s: %w", v.state.ID, err))
	}
	return v.awaitMemory(ctx, hot)
}

// awaitMemory waits until the guest has taken at least the size asked for. Giving back is not waited for.
func (v *VM) awaitMemory(ctx context.Context, hot uint64) error {
	limit := time.NewTimer(growTime)
	defer limit.Stop()
	for {
		var size uint64
		if err := v.execute(ctx, "qom-get", qmpArgs{"path": hotMemoryPath, "property": "size"}, &size); err != nil {
			return v.orExited(fmt.Errorf("resize VM %s: %w", v.state.ID, err))
		}
		if size >= hot {
			return nil
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("resize VM %s: the guest took %d of %d MiB: %w", v.state.ID, size/mib, hot/mib, ctx.Err())
		case <-limit.C:
			if size == 0 {
				return v.takeBack(fmt.Errorf("resize VM %s: the guest takes no memory; does its image load virtio_mem? %w", v.state.ID, vm.ErrUnsupported))
			}
			return fmt.Errorf("resize VM %s: the guest took only %d of %d MiB in %v", v.state.ID, size/mib, hot/mib, growTime)
		}
	}
}

// takeBack ends the offer of memory to a guest that did not react.
func (v *VM) takeBack(err error) error {
	ctx, cancel := context.WithTimeout(context.Background(), settleTime)
	defer cancel()
	set := qmpArgs{"path": hotMemoryPath, "property": "requested-size", "value": 0}
	return v.orExited(errors.Join(err, v.execute(ctx, "qom-set", set, nil)))
}
