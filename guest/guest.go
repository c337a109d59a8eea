// Package guest holds the few types that every layer shares about what runs in
// a utility VM: its operating system and the runtime handler that chose it.
package guest

import "fmt"

// EmulatedArg on the kernel's command line tells the agent that the processor is a program.
const EmulatedArg = "paddock.emulated"

// OS is the operating system whose containers a utility VM runs.
type OS uint8

const (
	// Linux containers.
	Linux OS = iota + 1
	// Windows containers.
	Windows
)

// String is the OCI image specification's name of the OS (GOOS).
func (o OS) String() string {
	switch o {
	case Linux:
		return "linux"
	case Windows:
		return "windows"
	}
	return fmt.Sprintf("OS(%d)", uint8(o))
}

// Handler is a CRI runtime handler: what a RuntimeClass names.
type Handler string

const (
	// LCOW is the handler of Linux pods.
	LCOW Handler = "lcow"
	// WCOW is the handler of Windows pods.
	WCOW Handler = "wcow"
)

// OS returns the operating system of the handler's pods, and whether the handler is known.
func (h Handler) OS() (OS, bool) {
	switch h {
	case LCOW:
		return Linux, true
	case WCOW:
		return Windows, true
	}
	return 0, false
}
