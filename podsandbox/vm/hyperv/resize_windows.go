package hyperv

import (
	"context"
	"fmt"
	"time"

	"github.com/paddock-run/paddock/podsandbox/vm"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/schema"
)

// Resize implements vm.VM: memory is added, the limit of processor time raised.
func (v *VM) Resize(ctx context.Context, r vm.Resources) error {
	if err := v.running(); err != nil {
		return err
	}
	v.devices.Lock()
	defer v.devices.Unlock()
	if err := v.grow(ctx, r.MemoryBytes); err != nil {
		return v.orExited(fmt.Errorf("resize VM %s: %w", v.state.ID, typed(err)))
	}
	if err := v.widen(ctx, r.CPUs); err != nil {
		return v.orExited(fmt.Errorf("resize VM %s: %w", v.state.ID, typed(err)))
	}
	return nil
}

func (v *VM) grow(ctx context.Context, bytes uint64) error {
	want := evenMiB(bytes)
	if want <= v.state.MemoryMB {
		return nil
	}
	if bytes > v.host.memory {
		return fmt.Errorf("%d MiB of memory asked for, this host has %d: %w", want, v.host.memory/mib, vm.ErrUnsupported)
	}
	if err := v.compute().Modify(ctx, memoryRequest(want)); err != nil {
		return err
	}
	v.state.MemoryMB = want
	return v.state.write(v.dir)
}

func (v *VM) widen(ctx context.Context, processors uint32) error {
	if processors > v.state.Processors {
		return fmt.Errorf("%d processors asked for, the VM has %d and can be given no more: %w", processors, v.state.Processors, vm.ErrUnsupported)
	}
	if v.state.Limit == 0 || processors <= v.state.Limit {
		return nil
	}
	if v.host.build < buildProcessorLimits {
		return fmt.Errorf("changing processor limits needs Windows build %d, this is %d: %w", buildProcessorLimits, v.host.build, vm.ErrUnsupported)
	}
	if err := v.compute().Modify(ctx, limitRequest(processorLimit(processors, v.state.Processors))); err != nil {
		return err
	}
	v.state.Limit = processors
	return v.state.write(v.dir)
}

// Stats implements vm.VM.
func (v *VM) Stats(ctx context.Context) (vm.Stats, error) {
	if err := v.running(); err != nil {
		return vm.Stats{}, err
	}
	p, err := v.compute().Properties(ctx, "Statistics", "Memory")
	if err != nil {
		return vm.Stats{}, v.orExited(fmt.Errorf("statistics of VM %s: %w", v.state.ID, typed(err)))
	}
	s := vm.Stats{Time: time.Now()}
	if p.Statistics != nil && p.Statistics.Processor != nil {
		s.CPU = time.Duration(p.Statistics.Processor.TotalRuntime100ns) * 100
	}
	if s.MemoryBytes, err = workingSet(v.state.RuntimeID); err != nil {
		return vm.Stats{}, fmt.Errorf("statistics of VM %s: %w", v.state.ID, err)
	}
	if s.MemoryBytes == 0 && p.Memory != nil && p.Memory.VirtualMachineMemory != nil {
		s.MemoryBytes = p.Memory.VirtualMachineMemory.AssignedMemory * schema.PageSize
	}
	return s, nil
}
