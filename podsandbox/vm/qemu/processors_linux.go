package qemu

import (
	"context"
	"fmt"

	"github.com/paddock-run/paddock/podsandbox/vm"
)

// usualCPUs is how many processors a VM may have that did not ask for more: the
// guest's kernel sets aside 250 KiB for each that might come.
const usualCPUs = 32

// processors are a VM's at boot, and with those that can be added, of a host's.
// Who asks for none may use all of the host, as a container on it would; but not
// under emulation, where each is a thread that translates code for itself.
func processors(asked, host uint32, accel string) (boot, most uint32) {
	switch {
	case asked > 0:
		boot = asked
	case accel == "tcg":
		boot = 1
	default:
		boot = min(host, usualCPUs)
	}
	boot = min(boot, host)
	return boot, max(boot, min(host, usualCPUs))
}

// cpuSlot is a place for a processor; Path is set when there is one in it.
type cpuSlot struct {
	Type  string
	Props map[string]int64
	Path  string `json:"qom-path"`
}

// addCPUs plugs processors until the VM has want. Called with v.devices held.
func (v *VM) addCPUs(ctx context.Context, want uint32) error {
	var slots []cpuSlot
	if err := v.execute(ctx, "query-hotpluggable-cpus", nil, &slots); err != nil {
		return fmt.Errorf("processors of VM %s: %w", v.state.ID, err)
	}
	if want > uint32(len(slots)) {
		return fmt.Errorf("VM %s: %d processors asked for, it can have at most %d: %w", v.state.ID, want, len(slots), vm.ErrUnsupported)
	}
	have := uint32(0)
	for _, s := range slots {
		if s.Path != "" {
			have++
		}
	}
	// QEMU lists the last place first; the guest numbers processors by their places.
	for i := len(slots) - 1; i >= 0 && have < want; i-- {
		if slots[i].Path != "" {
			continue
		}
		device := qmpArgs{"driver": slots[i].Type, "id": fmt.Sprintf("cpu%d", i)}
		for name, value := range slots[i].Props {
			device[name] = value
		}
		if err := v.execute(ctx, "device_add", device, nil); err != nil {
			return v.orExited(fmt.Errorf("add a processor to VM %s: %w", v.state.ID, err))
		}
		have++
	}
	return nil
}
