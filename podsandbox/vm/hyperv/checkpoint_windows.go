package hyperv

import (
	"context"
	"fmt"

	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/schema"
)

// Pause stops the VM's processors; its memory stays.
func (v *VM) Pause(ctx context.Context) error {
	if err := v.running(); err != nil {
		return err
	}
	if err := v.compute().Pause(ctx); err != nil {
		return v.orExited(fmt.Errorf("pause VM %s: %w", v.state.ID, typed(err)))
	}
	return nil
}

// Resume lets a paused VM go on.
func (v *VM) Resume(ctx context.Context) error {
	if err := v.running(); err != nil {
		return err
	}
	if err := v.compute().Resume(ctx); err != nil {
		return v.orExited(fmt.Errorf("resume VM %s: %w", v.state.ID, typed(err)))
	}
	return nil
}

// Save writes a paused VM's memory and devices to a new file; the VM then ends.
func (v *VM) Save(ctx context.Context, file string) error {
	if err := v.running(); err != nil {
		return err
	}
	options := schema.SaveOptions{SaveType: "ToFile", SaveStateFilePath: file}
	if err := v.compute().Save(ctx, options); err != nil {
		return v.orExited(fmt.Errorf("save VM %s to %s: %w", v.state.ID, file, typed(err)))
	}
	return nil
}
