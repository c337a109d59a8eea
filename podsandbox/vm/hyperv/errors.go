package hyperv

import (
	"errors"
	"fmt"

	"github.com/paddock-run/paddock/podsandbox/vm"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/computecore"
)

// classes are the results that mean one of the seam's errors.
var classes = []struct {
	result computecore.HRESULT
	class  error
}{
	{computecore.SystemNotFound, vm.ErrNotFound},
	{computecore.ElementNotFound, vm.ErrNotFound},
	{computecore.SystemAlreadyExists, vm.ErrExists},
	{computecore.AlreadyExists, vm.ErrExists},
	{computecore.SystemStopped, vm.ErrExited},
	{computecore.UnexpectedExitError, vm.ErrExited},
	{computecore.InvalidArgument, vm.ErrInvalid},
	{computecore.InvalidJSON, vm.ErrInvalid},
	{computecore.OutOfMemory, vm.ErrUnsupported},
	{computecore.NoSystemResources, vm.ErrUnsupported},
	{computecore.NotSupported, vm.ErrUnsupported},
	{computecore.UnknownMessage, vm.ErrUnsupported},
	{computecore.ServiceNotAvailable, vm.ErrUnsupported},
}

// typed adds the seam's error that a result means.
func typed(err error) error {
	if err == nil {
		return nil
	}
	for _, c := range classes {
		if errors.Is(err, c.result) && !errors.Is(err, c.class) {
			return fmt.Errorf("%w: %w", c.class, err)
		}
	}
	return err
}
