package podsandbox

import (
	"fmt"
	"strings"

	"github.com/paddock-run/paddock/guest"
	guestapi "github.com/paddock-run/paddock/guest/api"
)

// stopRequest asks a process to end: by a signal, or, if it is Windows', by a console event.
type stopRequest struct {
	signal uint32
	event  guestapi.ControlEvent
}

// String is for errors.
func (r stopRequest) String() string {
	if r.event != guestapi.ControlEvent_CONTROL_EVENT_NONE {
		return r.event.String()
	}
	return fmt.Sprintf("signal %d", r.signal)
}

// controlEvents are the console events by their names in images, and by the
// signals that stand for them in Windows' container runtimes.
var controlEvents = map[string]guestapi.ControlEvent{
	"":     guestapi.ControlEvent_CONTROL_EVENT_CTRL_SHUTDOWN,
	"TERM": guestapi.ControlEvent_CONTROL_EVENT_CTRL_SHUTDOWN, "15": guestapi.ControlEvent_CONTROL_EVENT_CTRL_SHUTDOWN,
	"CTRLSHUTDOWN": guestapi.ControlEvent_CONTROL_EVENT_CTRL_SHUTDOWN,
	"INT":          guestapi.ControlEvent_CONTROL_EVENT_CTRL_C, "2": guestapi.ControlEvent_CONTROL_EVENT_CTRL_C,
	"CTRLC": guestapi.ControlEvent_CONTROL_EVENT_CTRL_C,
	"QUIT":  guestapi.ControlEvent_CONTROL_EVENT_CTRL_BREAK, "3": guestapi.ControlEvent_CONTROL_EVENT_CTRL_BREAK,
	"CTRLBREAK":  guestapi.ControlEvent_CONTROL_EVENT_CTRL_BREAK,
	"CTRLCLOSE":  guestapi.ControlEvent_CONTROL_EVENT_CTRL_CLOSE,
	"CTRLLOGOFF": guestapi.ControlEvent_CONTROL_EVENT_CTRL_LOGOFF,
}

// parseStop reads a stop signal: on Linux as parseSignal does, on Windows also
// CtrlC, CtrlBreak, CtrlClose, CtrlLogOff and CtrlShutdown, which is the default.
func parseStop(s string, os guest.OS) (stopRequest, error) {
	if os != guest.Windows {
		signal, err := parseSignal(s)
		return stopRequest{signal: signal}, err
	}
	name := strings.TrimPrefix(strings.ToUpper(s), "SIG")
	if event, ok := controlEvents[name]; ok {
		return stopRequest{event: event}, nil
	}
	if name == "KILL" || name == "9" {
		return stopRequest{signal: sigKill}, nil
	}
	return stopRequest{}, fmt.Errorf("%w: stop signal %q means nothing to a Windows process: use SIGTERM (CtrlShutdown), SIGINT (CtrlC) or SIGKILL", ErrInvalid, s)
}
