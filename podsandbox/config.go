package podsandbox

import (
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/guest/idmap"
	"github.com/paddock-run/paddock/network"
)

// Meta identifies a pod as Kubernetes knows it. Name, UID, Namespace and
// Attempt together are unique among live sandboxes.
type Meta struct {
	Name, UID, Namespace string
	Attempt              uint32
}

// SandboxConfig is what a pod sandbox is made from. It is stored as given.
type SandboxConfig struct {
	Meta    Meta
	Handler guest.Handler
	// RuntimeHandler is the handler as the request named it ("" for the default), echoed in statuses.
	RuntimeHandler string
	Hostname       string
	LogDirectory   string
	DNS            *network.DNS // nil: the host's resolv.conf
	PortMappings   []network.PortMapping
	Labels         map[string]string
	Annotations    map[string]string
	CgroupParent   string
	Sysctls        map[string]string
	// PID, IPC, Net are the pod's namespace modes.
	Namespaces Namespaces
	// UserNamespace, if set, is the mapping of the user namespace that the pod's containers run in.
	UserNamespace *idmap.Range
	// Overhead and Resources size the VM; zero: the configured default.
	Overhead, Resources Resources
	// Security is the sandbox's own security context, the default of nothing: containers carry their own.
	Privileged bool
}

// NamespaceMode is whose namespace a container uses.
type NamespaceMode uint8

// Namespace modes of CRI. Node means the VM's own for PID and IPC.
const (
	NamespacePod NamespaceMode = iota
	NamespaceContainer
	NamespaceNode
	NamespaceTarget
)

// Namespaces are the namespace modes of a sandbox or container.
type Namespaces struct {
	Network, PID, IPC NamespaceMode
	// TargetID is the container whose PID namespace is joined with NamespaceTarget.
	TargetID string
}

// Resources are limits of a Linux container, or the sum of a pod's. Zero values: not set.
type Resources struct {
	CPUPeriod, CPUQuota, CPUShares int64
	MemoryLimit                    int64 // bytes
	MemorySwapLimit                int64 // bytes
	MemoryReservation              int64 // bytes that are kept from being reclaimed
	PidsLimit                      int64 // -1: no limit
	OOMScoreAdj                    int64
	CpusetCpus, CpusetMems         string
	HugepageLimits                 []HugepageLimit
	Unified                        map[string]string
}

// HugepageLimit limits huge pages of one size ("2MB").
type HugepageLimit struct {
	PageSize string
	Limit    uint64
}

// ContainerMeta identifies a container within its pod.
type ContainerMeta struct {
	Name    string
	Attempt uint32
}

// ContainerConfig is what a container is made from. It is stored as given, or as Hooks changed it.
type ContainerConfig struct {
	Meta ContainerMeta
	// Image is the reference or id to run; UserImage is what the user wrote.
	Image, UserImage string
	// ImageHandler and ImageAnnotations are what the request said with the image, echoed in statuses.
	ImageHandler     string
	ImageAnnotations map[string]string
	Command, Args    []string
	WorkingDir       string
	Env              []EnvVar
	Mounts           []Mount
	Devices          []Device
	CDIDevices       []string
	Labels           map[string]string
	Annotations      map[string]string
	// LogPath is relative to the sandbox's LogDirectory; empty: no log.
	LogPath    string
	Stdin      bool
	StdinOnce  bool
	TTY        bool
	Resources  Resources
	Security   Security
	StopSignal string // "", "SIGTERM", "15"; overrides the image's
}

// EnvVar is one environment variable.
type EnvVar struct{ Key, Value string }

// Propagation is a mount's propagation.
type Propagation uint8

// Mount propagations of CRI.
const (
	PropagationPrivate Propagation = iota
	PropagationHostToContainer
	PropagationBidirectional
)

// Mount puts a host path or an image into a container.
type Mount struct {
	ContainerPath string
	HostPath      string
	// Image, if set, is mounted instead of HostPath; SubPath within it. The rest of
	// what the request said with it is echoed in statuses.
	Image, SubPath          string
	UserImage, ImageHandler string
	ImageAnnotations        map[string]string
	// Tmpfs is set for an empty file system in memory instead of HostPath, with Options of its own.
	Tmpfs             bool
	ReadOnly          bool
	RecursiveReadOnly bool
	Propagation       Propagation
	SELinuxRelabel    bool // echoed; a guest kernel has no SELinux
	// IDs, if set, shows the source as an idmapped mount does: its files' ids are the
	// range's "container" ids, those in the pod's kernel its "host" ids.
	IDs *idmap.Range
	// Options are further bind mount options: noexec, nodev, nosuid, ...
	Options []string
}

// Device passes a host device.
type Device struct{ ContainerPath, HostPath, Permissions string }

// Security is a container's security context.
type Security struct {
	Privileged          bool
	AddCapabilities     []string // without CAP_; "ALL" allowed
	DropCapabilities    []string
	AmbientCapabilities []string
	Namespaces          Namespaces
	RunAsUser           *int64
	RunAsGroup          *int64
	RunAsUsername       string
	SupplementalGroups  []int64
	StrictGroups        bool
	ReadOnlyRootfs      bool
	NoNewPrivs          bool
	MaskedPaths         []string
	ReadonlyPaths       []string
	Seccomp             Profile
	AppArmor            Profile
	SELinuxLabel        string
}

// ProfileKind is where a security profile comes from.
type ProfileKind uint8

// Profile kinds of CRI.
const (
	ProfileRuntimeDefault ProfileKind = iota
	ProfileUnconfined
	ProfileLocalhost
)

// Profile is a seccomp or AppArmor profile; Localhost is a path or name.
type Profile struct {
	Kind      ProfileKind
	Localhost string
}

// SandboxState is where a sandbox is in its life.
type SandboxState uint8

// States of a sandbox, as doc.go draws them.
const (
	SandboxUnknown SandboxState = iota
	SandboxReady
	SandboxNotReady
)

// SandboxStatus is a snapshot of a sandbox.
type SandboxStatus struct {
	ID      string
	State   SandboxState
	Created time.Time
	Config  SandboxConfig
	Network *network.Attachment // nil before set-up and after tear-down
	// RefusedPorts are what a pod on the node's network listens on and the node does not lead to it.
	RefusedPorts []network.Refusal
	Kernel       string // the pod's kernel release
	Reason       string // why it is not ready, for people
	Timeline     []Step // how its start was spent
}

// Step is one timed step of a sandbox's or container's start.
type Step struct {
	Name     string
	Start    time.Time
	Duration time.Duration
}

// ContainerStateKind is where a container is in its life.
type ContainerStateKind uint8

// States of a container, as doc.go draws them.
const (
	ContainerUnknown ContainerStateKind = iota
	ContainerCreated
	ContainerRunning
	ContainerExited
)

// ContainerStatus is a snapshot of a container.
type ContainerStatus struct {
	ID                         string
	SandboxID                  string
	State                      ContainerStateKind
	Created, Started, Finished time.Time
	ExitCode                   int32
	// Reason is CamelCase for machines (Completed, Error, OOMKilled, VMExited...), Message for people.
	Reason, Message string
	Config          ContainerConfig
	ImageID         string
	ImageRef        string // repo digest, or the id when it has none
	LogPath         string // absolute; empty: none
	User            *User
	// MountImages is the ImageRef of each image volume, by container path.
	MountImages map[string]string
	StopSignal  string
	// Spec is the OCI specification that it was made with, but for what the guest adds and the system call
	// filter; nil in records of before it was kept. It is not to be changed.
	Spec *specs.Spec
}

// User is who a container's process runs as.
type User struct {
	UID, GID int64
	Groups   []int64
}
