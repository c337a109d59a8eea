package schema

// TimeZone is TIME_ZONE_INFORMATION; biases are in minutes, east of UTC negative.
type TimeZone struct {
	Bias         int32       `json:"Bias,omitempty"`
	StandardName string      `json:"StandardName,omitempty"`
	StandardDate *SystemTime `json:"StandardDate,omitempty"`
	StandardBias int32       `json:"StandardBias,omitempty"`
	DaylightName string      `json:"DaylightName,omitempty"`
	DaylightDate *SystemTime `json:"DaylightDate,omitempty"`
	DaylightBias int32       `json:"DaylightBias,omitempty"`
}

// SystemTime is SYSTEMTIME: when a zone's time changes.
type SystemTime struct {
	Year         int32 `json:"Year,omitempty"`
	Month        int32 `json:"Month,omitempty"`
	DayOfWeek    int32 `json:"DayOfWeek,omitempty"`
	Day          int32 `json:"Day,omitempty"`
	Hour         int32 `json:"Hour,omitempty"`
	Minute       int32 `json:"Minute,omitempty"`
	Second       int32 `json:"Second,omitempty"`
	Milliseconds int32 `json:"Milliseconds,omitempty"`
}

// HostedSystem is a container within a Windows VM, as its guest service makes it.
type HostedSystem struct {
	SchemaVersion Version    `json:"SchemaVersion"`
	Container     *Container `json:"Container"`
}

// Container is a Windows container.
type Container struct {
	GuestOs           *GuestOs             `json:"GuestOs,omitempty"`
	Storage           *Storage             `json:"Storage,omitempty"`
	MappedDirectories []MappedDirectory    `json:"MappedDirectories,omitempty"`
	Memory            *ContainerMemory     `json:"Memory,omitempty"`
	Processor         *ContainerProcessor  `json:"Processor,omitempty"`
	Networking        *ContainerNetworking `json:"Networking,omitempty"`
}

// GuestOs is what a container takes its OS for.
type GuestOs struct {
	HostName string `json:"HostName,omitempty"`
}

// Storage is a container's file system: Path is where the layers were combined.
type Storage struct {
	Layers []Layer `json:"Layers,omitempty"`
	Path   string  `json:"Path,omitempty"`
}

// Layer is a read-only layer of an image, by its path in the guest.
type Layer struct {
	ID   string `json:"Id"`
	Path string `json:"Path"`
}

// MappedDirectory shows a container a directory of its VM, such as a share of the host.
type MappedDirectory struct {
	HostPath      string `json:"HostPath,omitempty"`
	ContainerPath string `json:"ContainerPath"`
	ReadOnly      bool   `json:"ReadOnly,omitempty"`
}

// ContainerMemory bounds a container's memory.
type ContainerMemory struct {
	SizeInMB uint64 `json:"SizeInMB,omitempty"`
}

// ContainerProcessor bounds a container's processors: one of Count, Maximum (of the
// VM's processors together, in 1/10000) and Weight.
type ContainerProcessor struct {
	Count   int32 `json:"Count,omitempty"`
	Maximum int32 `json:"Maximum,omitempty"`
	Weight  int32 `json:"Weight,omitempty"`
}

// ContainerNetworking joins a container to a namespace of the guest.
type ContainerNetworking struct {
	AllowUnqualifiedDNSQuery bool `json:"AllowUnqualifiedDnsQuery,omitempty"`
	// DNSSearchList is separated by commas.
	DNSSearchList string `json:"DnsSearchList,omitempty"`
	Namespace     string `json:"Namespace,omitempty"`
}
