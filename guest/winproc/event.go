package winproc

import "fmt"

// Event is a console control event, by its number in the Windows API.
type Event uint32

// The console events that a process can be sent.
const (
	CtrlC        Event = 0
	CtrlBreak    Event = 1
	CtrlClose    Event = 2
	CtrlLogoff   Event = 5
	CtrlShutdown Event = 6
)

// Valid tells whether Windows knows the event.
func (e Event) Valid() bool { return e <= CtrlClose || e == CtrlLogoff || e == CtrlShutdown }

// String is the event's name as stop signals of Windows images have it.
func (e Event) String() string {
	switch e {
	case CtrlC:
		return "CtrlC"
	case CtrlBreak:
		return "CtrlBreak"
	case CtrlClose:
		return "CtrlClose"
	case CtrlLogoff:
		return "CtrlLogOff"
	case CtrlShutdown:
		return "CtrlShutdown"
	}
	return fmt.Sprintf("Event(%d)", uint32(e))
}
