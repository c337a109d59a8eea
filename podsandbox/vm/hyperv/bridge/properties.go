package bridge

import (
	"encoding/json"
	"time"
)

// PropertyType is a kind of properties.
type PropertyType string

// Kinds of properties that containers have.
const (
	StatisticsProperty  PropertyType = "Statistics"
	ProcessListProperty PropertyType = "ProcessList"
)

type propertyQuery struct {
	PropertyTypes []PropertyType `json:",omitempty"`
}

// Properties of a container. What was not asked for is nil.
type Properties struct {
	Statistics  *Statistics
	ProcessList []ProcessDetails
	// LinuxMetrics are the statistics of a Linux guest, those of its cgroup (version 1).
	LinuxMetrics json.RawMessage `json:"LCOWMetrics"`
}

// Statistics of a Windows container.
type Statistics struct {
	Timestamp          time.Time
	ContainerStartTime time.Time
	Uptime100ns        uint64
	Processor          struct {
		TotalRuntime100ns  uint64
		RuntimeUser100ns   uint64
		RuntimeKernel100ns uint64
	}
	Memory struct {
		MemoryUsageCommitBytes            uint64
		MemoryUsageCommitPeakBytes        uint64
		MemoryUsagePrivateWorkingSetBytes uint64
	}
	Storage struct {
		ReadCountNormalized  uint64
		ReadSizeBytes        uint64
		WriteCountNormalized uint64
		WriteSizeBytes       uint64
	}
}

// ProcessDetails is one process of a container. Linux guests tell the number only.
type ProcessDetails struct {
	ProcessID                    uint32 `json:"ProcessId"`
	ImageName                    string
	CreateTimestamp              time.Time
	UserTime100ns                uint64
	KernelTime100ns              uint64
	MemoryCommitBytes            uint64
	MemoryWorkingSetPrivateBytes uint64
	MemoryWorkingSetSharedBytes  uint64
}
