package schema

// Version is a version of the schema.
type Version struct {
	Major uint32 `json:"Major"`
	Minor uint32 `json:"Minor"`
}

// ComputeSystem is what HcsCreateComputeSystem makes.
type ComputeSystem struct {
	// Owner is by whom systems can be enumerated.
	Owner         string  `json:"Owner"`
	SchemaVersion Version `json:"SchemaVersion"`
	// ShouldTerminateOnLastHandleClosed ends the system with the process that made it.
	ShouldTerminateOnLastHandleClosed bool            `json:"ShouldTerminateOnLastHandleClosed"`
	VirtualMachine                    *VirtualMachine `json:"VirtualMachine"`
}

// VirtualMachine is a utility VM.
type VirtualMachine struct {
	// StopOnReset ends the VM when its guest resets, as a kernel does that has panicked.
	StopOnReset     bool             `json:"StopOnReset"`
	Chipset         Chipset          `json:"Chipset"`
	ComputeTopology Topology         `json:"ComputeTopology"`
	Devices         Devices          `json:"Devices"`
	RestoreState    *RestoreState    `json:"RestoreState,omitempty"`
	RegistryChanges *RegistryChanges `json:"RegistryChanges,omitempty"`
}

// Chipset says what boots.
type Chipset struct {
	Uefi *Uefi `json:"Uefi,omitempty"`
	// LinuxKernelDirect enters a kernel without firmware: schema 2.2, builds from 18286 on.
	LinuxKernelDirect *LinuxKernelDirect `json:"LinuxKernelDirect,omitempty"`
}

// LinuxKernelDirect is a kernel, an ELF file, with its initial root.
type LinuxKernelDirect struct {
	KernelFilePath string `json:"KernelFilePath"`
	InitRdPath     string `json:"InitRdPath"`
	KernelCmdLine  string `json:"KernelCmdLine"`
}

// Uefi boots by firmware.
type Uefi struct {
	BootThis *UefiBootEntry `json:"BootThis"`
}

// UefiBootEntry is what the firmware starts.
type UefiBootEntry struct {
	DeviceType    string `json:"DeviceType"`
	DevicePath    string `json:"DevicePath"`
	VmbFsRootPath string `json:"VmbFsRootPath,omitempty"`
	OptionalData  string `json:"OptionalData,omitempty"`
}

// Topology is a VM's memory and processors.
type Topology struct {
	Memory    Memory    `json:"Memory"`
	Processor Processor `json:"Processor"`
}

// Memory of a VM.
type Memory struct {
	SizeInMB uint64 `json:"SizeInMB"`
	// AllowOvercommit backs the memory by the page file, and only what is used.
	AllowOvercommit bool `json:"AllowOvercommit"`
	// EnableHotHint lets a Windows guest prefetch pages.
	EnableHotHint bool `json:"EnableHotHint,omitempty"`
	// EnableColdDiscardHint lets the guest give pages back: builds from 18967 on.
	EnableColdDiscardHint bool `json:"EnableColdDiscardHint,omitempty"`
	// EnableDeferredCommit charges pages when they are first used; it needs AllowOvercommit.
	EnableDeferredCommit bool `json:"EnableDeferredCommit,omitempty"`
}

// Processor is a VM's processors. Limit is in 1/1000 percent of all of them; 0: none.
type Processor struct {
	Count  uint32 `json:"Count"`
	Limit  uint64 `json:"Limit,omitempty"`
	Weight uint64 `json:"Weight,omitempty"`
}

// ProcessorLimits changes a running VM's: builds from 19042 on.
type ProcessorLimits struct {
	Limit uint64 `json:"Limit,omitempty"`
}

// Devices of a VM.
type Devices struct {
	Scsi            map[string]Scsi           `json:"Scsi,omitempty"`
	NetworkAdapters map[string]NetworkAdapter `json:"NetworkAdapters,omitempty"`
	ComPorts        map[string]ComPort        `json:"ComPorts,omitempty"`
	HvSocket        *HvSocket                 `json:"HvSocket,omitempty"`
	VirtualSmb      *VirtualSmb               `json:"VirtualSmb,omitempty"`
}

// Scsi is a controller, with disks by LUN.
type Scsi struct {
	Attachments map[string]Attachment `json:"Attachments,omitempty"`
}

// Attachment is a disk.
type Attachment struct {
	Type          string `json:"Type"`
	Path          string `json:"Path"`
	ReadOnly      bool   `json:"ReadOnly,omitempty"`
	IgnoreFlushes bool   `json:"IgnoreFlushes,omitempty"`
}

// NetworkAdapter joins an endpoint of the Host Compute Network.
type NetworkAdapter struct {
	EndpointID string `json:"EndpointId"`
	// MacAddress is written with dashes; empty: the endpoint's.
	MacAddress string `json:"MacAddress,omitempty"`
}

// ComPort is a serial port; the VM serves the pipe.
type ComPort struct {
	NamedPipe string `json:"NamedPipe"`
}

// HvSocket is the VM's sockets.
type HvSocket struct {
	HvSocketConfig HvSocketConfig `json:"HvSocketConfig"`
}

// HvSocketConfig says which processes of the host may do what, as SDDL.
type HvSocketConfig struct {
	DefaultBindSecurityDescriptor    string                     `json:"DefaultBindSecurityDescriptor"`
	DefaultConnectSecurityDescriptor string                     `json:"DefaultConnectSecurityDescriptor"`
	ServiceTable                     map[string]HvSocketService `json:"ServiceTable,omitempty"`
}

// HvSocketService is one service, by its GUID.
type HvSocketService struct {
	BindSecurityDescriptor    string `json:"BindSecurityDescriptor"`
	ConnectSecurityDescriptor string `json:"ConnectSecurityDescriptor"`
	AllowWildcardBinds        bool   `json:"AllowWildcardBinds,omitempty"`
}

// VirtualSmb shows folders of the host to a Windows guest.
type VirtualSmb struct {
	Shares                []VirtualSmbShare `json:"Shares,omitempty"`
	DirectFileMappingInMB int64             `json:"DirectFileMappingInMB,omitempty"`
}

// VirtualSmbShare is one folder.
type VirtualSmbShare struct {
	Name    string                  `json:"Name"`
	Path    string                  `json:"Path,omitempty"`
	Options *VirtualSmbShareOptions `json:"Options,omitempty"`
	// AllowedFiles are the only ones that can be opened, if RestrictFileAccess is set.
	AllowedFiles []string `json:"AllowedFiles,omitempty"`
}

// VirtualSmbShareOptions say how a folder is shared.
type VirtualSmbShareOptions struct {
	ReadOnly            bool `json:"ReadOnly,omitempty"`
	ShareRead           bool `json:"ShareRead,omitempty"`
	CacheIo             bool `json:"CacheIo,omitempty"`
	TakeBackupPrivilege bool `json:"TakeBackupPrivilege,omitempty"`
	PseudoOplocks       bool `json:"PseudoOplocks,omitempty"`
	// NoDirectmap keeps files out of the guest's memory: only such a share can be taken away.
	NoDirectmap        bool `json:"NoDirectmap,omitempty"`
	RestrictFileAccess bool `json:"RestrictFileAccess,omitempty"`
	SingleFileMapping  bool `json:"SingleFileMapping,omitempty"`
}

// RestoreState continues from a saved VM.
type RestoreState struct {
	SaveStateFilePath string `json:"SaveStateFilePath,omitempty"`
	TemplateSystemID  string `json:"TemplateSystemId,omitempty"`
}

// RegistryChanges are made in a Windows guest before it boots.
type RegistryChanges struct {
	AddValues []RegistryValue `json:"AddValues,omitempty"`
}

// RegistryValue is one value.
type RegistryValue struct {
	Key        RegistryKey `json:"Key"`
	Name       string      `json:"Name"`
	Type       string      `json:"Type"`
	DWordValue int32       `json:"DWordValue"`
}

// RegistryKey is a key in a hive.
type RegistryKey struct {
	Hive string `json:"Hive"`
	Name string `json:"Name"`
}
