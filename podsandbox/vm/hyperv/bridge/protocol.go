package bridge

import (
	"encoding/json"

	"github.com/Microsoft/go-winio/pkg/guid"
)

// version is the protocol's, the only one that today's guests speak.
const version = 4

// Socket services on which a Windows guest dials the host.
const (
	// BridgeService is the bridge itself.
	BridgeService = "acef5661-84a1-4e44-856b-6245e69f4620"
	// ParentAddress stands for the host, to the guest.
	ParentAddress = "894cc2d6-9d79-424f-93fe-42969ae6d8d1"
)

// NullID is the VM itself, where a container's id is asked for.
const NullID = "00000000-0000-0000-0000-000000000000"

// target begins every request.
type target struct {
	ContainerID string `json:"ContainerId"`
	// ActivityID is found again in the guest's log.
	ActivityID guid.GUID `json:"ActivityId"`
}

func to(containerID string) target {
	activity, err := guid.NewV4()
	if err != nil {
		activity = guid.GUID{} // only a mark in a log
	}
	return target{ContainerID: containerID, ActivityID: activity}
}

// answer begins every response.
type answer struct {
	Result       int32
	ErrorMessage string
	ErrorRecords []struct{ Message string }
}

func (a *answer) base() *answer { return a }

type answered interface{ base() *answer }

type negotiateRequest struct {
	target
	MinimumVersion uint32
	MaximumVersion uint32
}

type negotiateAnswer struct {
	answer
	Version      uint32
	Capabilities Capabilities
}

// Capabilities is what a guest says of itself.
type Capabilities struct {
	// SendHostCreateMessage and SendHostStartMessage ask for a Create and a Start of NullID.
	SendHostCreateMessage bool
	SendHostStartMessage  bool
	// HvSocketConfigOnStartup asks for the VM's socket addresses.
	HvSocketConfigOnStartup bool
	SupportedSchemaVersions []struct{ Major, Minor uint32 }
	// RuntimeOsType is empty for Windows.
	RuntimeOsType            string
	GuestDefinedCapabilities struct {
		NamespaceAddRequestSupported  bool
		SignalProcessSupported        bool
		DumpStacksSupported           bool
		DeleteContainerStateSupported bool
	}
}

type createRequest struct {
	target
	ContainerConfig text[any]
}

type executeRequest struct {
	target
	Settings executeSettings
}

type executeSettings struct {
	ProcessParameters text[ProcessParameters]
	// StdioRelaySettings are for Windows guests, VsockStdioRelaySettings for Linux ones.
	StdioRelaySettings      *relay[guid.GUID] `json:",omitempty"`
	VsockStdioRelaySettings *relay[uint32]    `json:",omitempty"`
}

// relay says where the host awaits the standard streams.
type relay[T any] struct {
	StdIn  *T `json:",omitempty"`
	StdOut *T `json:",omitempty"`
	StdErr *T `json:",omitempty"`
}

type executeAnswer struct {
	answer
	ProcessID uint32 `json:"ProcessId"`
}

// forever is TimeoutInMs of a request that waits.
const forever = 0xffffffff

type waitRequest struct {
	target
	ProcessID   uint32 `json:"ProcessId"`
	TimeoutInMs uint32
}

type waitAnswer struct {
	answer
	ExitCode uint32
}

type signalRequest struct {
	target
	ProcessID uint32 `json:"ProcessId"`
	// Options is nil to kill.
	Options any `json:",omitempty"`
}

type resizeRequest struct {
	target
	ProcessID uint32 `json:"ProcessId"`
	Height    uint16
	Width     uint16
}

type propertiesRequest struct {
	target
	Query text[propertyQuery]
}

type propertiesAnswer struct {
	answer
	Properties text[Properties]
}

type modifyRequest struct {
	target
	Request any
}

type stacksAnswer struct {
	answer
	GuestStacks string
}

// exitNotification is told once of each container.
type exitNotification struct {
	ContainerID string `json:"ContainerId"`
	Type        string
	Operation   string
	Result      int32
	ResultInfo  json.RawMessage
}
