package schema

import (
	"encoding/json"
	"time"
)

// States of a system, as Properties has them.
const (
	StateCreated = "Created"
	StateRunning = "Running"
	StatePaused  = "Paused"
	StateStopped = "Stopped"
)

// Properties of a system. What was not asked for is nil.
type Properties struct {
	ID         string             `json:"Id"`
	SystemType string             `json:"SystemType"`
	Owner      string             `json:"Owner"`
	RuntimeID  string             `json:"RuntimeId"`
	State      string             `json:"State"`
	Stopped    bool               `json:"Stopped"`
	ExitType   string             `json:"ExitType"`
	Memory     *MemoryInformation `json:"Memory"`
	Statistics *Statistics        `json:"Statistics"`
}

// MemoryInformation is a VM's memory.
type MemoryInformation struct {
	VirtualMachineMemory *VMMemory `json:"VirtualMachineMemory"`
}

// PageSize is the unit of VMMemory, in bytes.
const PageSize = 4096

// VMMemory is in pages.
type VMMemory struct {
	AssignedMemory uint64 `json:"AssignedMemory"`
}

// Statistics of a system.
type Statistics struct {
	Timestamp time.Time        `json:"Timestamp"`
	Processor *ProcessorStats  `json:"Processor"`
	Memory    *MemoryStatistic `json:"Memory"`
}

// ProcessorStats is processor time in units of 100 ns.
type ProcessorStats struct {
	TotalRuntime100ns uint64 `json:"TotalRuntime100ns"`
}

// MemoryStatistic is memory of containers; that of VMs is in MemoryInformation.
type MemoryStatistic struct {
	MemoryUsagePrivateWorkingSetBytes uint64 `json:"MemoryUsagePrivateWorkingSetBytes"`
}

// SystemExitStatus is the data of a system's last event.
type SystemExitStatus struct {
	Status      int32               `json:"Status"`
	ExitType    string              `json:"ExitType"`
	Attribution []AttributionRecord `json:"Attribution"` // schema 2.4
}

// Kinds of SystemExitStatus.ExitType.
const (
	GracefulExit   = "GracefulExit"
	ForcedExit     = "ForcedExit"
	UnexpectedExit = "UnexpectedExit"
)

// AttributionRecord tells a part of why a system ended.
type AttributionRecord struct {
	WorkerExit *WorkerExit     `json:"WorkerExit"`
	GuestCrash json.RawMessage `json:"GuestCrash"`
}

// WorkerExit is the end of a VM's worker process.
type WorkerExit struct {
	ExitCode  uint32 `json:"ExitCode"`
	Type      string `json:"Type"`
	Detail    string `json:"Detail"`
	Initiator string `json:"Initiator"`
}

// Values of WorkerExit.Type and WorkerExit.Detail that are told apart.
const (
	WorkerStopped        = "Stopped"
	WorkerStoppedOnReset = "StoppedOnReset"
	WorkerUnexpectedStop = "UnexpectedStop"
	DetailPowerOff       = "PowerOff"
	DetailReset          = "Reset"
	DetailGuestCrash     = "GuestCrash"
	DetailTripleFault    = "TripleFault"
)

// ErrorResult is the result of an operation that failed.
type ErrorResult struct {
	Error        int32        `json:"Error"`
	ErrorMessage string       `json:"ErrorMessage"`
	ErrorEvents  []ErrorEvent `json:"ErrorEvents"`
}

// ErrorEvent is a cause.
type ErrorEvent struct {
	Message string `json:"Message"`
}

// SystemSummary is an entry of an enumeration.
type SystemSummary struct {
	ID    string `json:"Id"`
	Owner string `json:"Owner"`
	State string `json:"State"`
}
