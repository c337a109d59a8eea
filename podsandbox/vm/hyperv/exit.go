package hyperv

import (
	"encoding/json"
	"fmt"

	"github.com/paddock-run/paddock/podsandbox/vm"
	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/schema"
)

// maxWords bounds what is quoted of the service and the guest.
const maxWords = 300

// classifyExit reads how a VM ended from its last event. Who ended it is told in
// full from schema 2.4 on (Windows Server 2022) only; before, a crash report tells
// a guest's crash, and the type the rest.
func classifyExit(data string, crashed bool) (vm.ExitKind, string) {
	var status schema.SystemExitStatus
	if err := json.Unmarshal([]byte(data), &status); err != nil {
		return vm.ExitKilled, fmt.Sprintf("the virtual machine ended; the host service says %q", clip(data))
	}
	for _, a := range status.Attribution {
		switch w := a.WorkerExit; {
		case a.GuestCrash != nil:
			return vm.ExitCrash, "the guest's kernel crashed"
		case w == nil:
		case w.Detail == schema.DetailGuestCrash:
			return vm.ExitCrash, "the guest's kernel crashed"
		case w.Type == schema.WorkerStoppedOnReset, w.Detail == schema.DetailReset, w.Detail == schema.DetailTripleFault:
			return vm.ExitCrash, "the guest reset, as it does when its kernel panics"
		case w.Type == schema.WorkerUnexpectedStop:
			return vm.ExitKilled, fmt.Sprintf("the virtual machine's worker process ended unexpectedly (exit code 0x%x)", w.ExitCode)
		}
	}
	switch {
	case crashed:
		return vm.ExitCrash, "the guest's kernel crashed"
	case status.ExitType == schema.GracefulExit:
		return vm.ExitShutdown, "the guest powered off"
	case status.ExitType == schema.ForcedExit:
		return vm.ExitTerminated, "terminated through the host service"
	}
	return vm.ExitKilled, fmt.Sprintf("the virtual machine ended: %s, status 0x%08x", clip(status.ExitType), uint32(status.Status))
}

// clip makes foreign words fit for a log.
func clip(s string) string {
	if len(s) > maxWords {
		s = s[:maxWords]
	}
	out := []rune(s)
	for i, r := range out {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			out[i] = '?'
		}
	}
	return string(out)
}
