package nri

import (
	"encoding/json"
	"fmt"

	"github.com/containerd/nri/pkg/api"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/paddock-run/paddock/podsandbox"
)

// adjust makes the adjustments that plugins ask for, in a copy of what the
// status points to. Every field is made or refused by its name.
func adjust(c *podsandbox.ContainerStatus, want *api.ContainerAdjustment) error {
	if want == nil {
		return nil
	}
	if c.Spec == nil || c.Spec.Process == nil || c.Spec.Linux == nil {
		return unsupported("an adjustment", "only Linux containers have what NRI adjusts")
	}
	if err := refuse(want); err != nil {
		return err
	}
	spec, err := clone(c.Spec)
	if err != nil {
		return err
	}
	next := *c
	next.Spec = spec
	for _, step := range []func(*podsandbox.ContainerStatus, *api.ContainerAdjustment) error{
		adjustAnnotations, adjustEnv, adjustArgs, adjustHooks, adjustRlimits, adjustMounts,
		adjustResources, adjustDevices, adjustSeccomp, adjustSysctls,
	} {
		if err := step(&next, want); err != nil {
			return err
		}
	}
	*c = next
	return nil
}

func clone(spec *specs.Spec) (*specs.Spec, error) {
	raw, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	out := new(specs.Spec)
	return out, json.Unmarshal(raw, out)
}

// unsupported refuses a field that a pod in a VM cannot have.
func unsupported(field, why string) error {
	return fmt.Errorf("%w: NRI plugins asked for %s: %s", podsandbox.ErrUnsupported, field, why)
}

// invalid refuses a field's value.
func invalid(field, format string, args ...any) error {
	return fmt.Errorf("%w: NRI plugins asked for %s: %s", podsandbox.ErrInvalid, field, fmt.Sprintf(format, args...))
}
