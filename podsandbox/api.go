package podsandbox

import (
	"context"
	"errors"
	"io"
	"time"

	guestapi "github.com/paddock-run/paddock/guest/api"
)

// Errors that the Runtime wraps, tested for with errors.Is.
var (
	// ErrNotFound: no such sandbox or container.
	ErrNotFound = errors.New("not found")
	// ErrExists: the name is reserved by another.
	ErrExists = errors.New("already exists")
	// ErrInvalid: the request can never work.
	ErrInvalid = errors.New("invalid request")
	// ErrState: the request does not fit the present state.
	ErrState = errors.New("wrong state")
	// ErrUnsupported: a VM pod, or this host, cannot do it.
	ErrUnsupported = errors.New("not supported")
	// ErrUnavailable: a part that is needed is not ready (network, image).
	ErrUnavailable = errors.New("not ready")
	// ErrImageVolume: what failed was the mount of an image. It comes beside one of the others.
	ErrImageVolume = errors.New("image volume")
	// ErrTimeout: a process did not end in the time given for it.
	ErrTimeout = errors.New("timed out")
)

// Runtime is what cri needs of pod sandboxes. Manager implements it. All
// methods may be called concurrently, honour their context and are idempotent
// as the CRI says of the calls they serve.
type Runtime interface {
	// RunSandbox makes and starts a sandbox. On error nothing of it is left.
	RunSandbox(ctx context.Context, cfg SandboxConfig) (id string, err error)
	// StopSandbox kills its containers, tears its network down and ends its VM. An unknown id succeeds.
	StopSandbox(ctx context.Context, id string) error
	// RemoveSandbox stops it if need be and removes all of it, containers included. An unknown id succeeds.
	RemoveSandbox(ctx context.Context, id string) error
	// UpdateSandbox changes the pod's limits and the size of its VM.
	UpdateSandbox(ctx context.Context, id string, r PodResources) error
	// Sandbox takes a full id or a unique prefix.
	Sandbox(id string) (SandboxStatus, error)
	Sandboxes() []SandboxStatus

	// CreateContainer makes a container. On error nothing of it is left.
	CreateContainer(ctx context.Context, sandboxID string, cfg ContainerConfig) (id string, err error)
	StartContainer(ctx context.Context, id string) error
	// StopContainer signals, waits for at most grace, then kills. A stopped or unknown container succeeds.
	StopContainer(ctx context.Context, id string, grace time.Duration) error
	// RemoveContainer kills it if need be and removes it. An unknown id succeeds.
	RemoveContainer(ctx context.Context, id string) error
	// Container takes a full id or a unique prefix.
	Container(id string) (ContainerStatus, error)
	Containers() []ContainerStatus
	// UpdateContainer changes a container's limits; what is zero stays. A memory limit
	// below what the container uses is ErrState, and changes nothing.
	UpdateContainer(ctx context.Context, id string, r Resources) error
	// ReopenLog opens the container's log path anew.
	ReopenLog(ctx context.Context, id string) error

	// ExecSync runs a command to its end and returns its output, bounded to 16 MiB a stream
	// as containerd's. After timeout (0: none) the process is killed and ErrTimeout returned.
	ExecSync(ctx context.Context, id string, cmd []string, timeout time.Duration) (stdout, stderr []byte, code int32, err error)
	// Exec runs a command with streams, until it ends or ctx does, and returns its exit code.
	Exec(ctx context.Context, id string, cmd []string, streams Streams) (code int32, err error)
	// Attach connects streams to the container's main process until that ends or ctx does.
	Attach(ctx context.Context, id string, streams Streams) error
	// PortForward copies between stream and a TCP port on the pod's localhost until either ends.
	PortForward(ctx context.Context, sandboxID string, port uint16, stream io.ReadWriteCloser) error

	// ContainerStats and SandboxStats ask the guest; ErrState if it does not run.
	ContainerStats(ctx context.Context, id string) (*guestapi.ContainerStats, error)
	// What a guest says is bounded: containers of the pod only, no number beyond int64.
	SandboxStats(ctx context.Context, id string, detail StatsDetail) (*SandboxStats, error)

	// Subscribe delivers events from now on, until ctx ends. A subscriber that falls
	// behind loses its oldest events rather than block anyone.
	Subscribe(ctx context.Context) <-chan Event
	// Status is nil when sandboxes can be run; else what is missing.
	Status() error
}

// Streams are the ends of an exec or attach. Nil ones are not connected.
type Streams struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer // Stderr is nil with TTY
	TTY            bool
	// Resize delivers terminal sizes; closed when no more come.
	Resize <-chan TerminalSize
}

// TerminalSize is a terminal's size in characters.
type TerminalSize struct{ Width, Height uint16 }

// StatsDetail is how much of the resource use is asked for.
type StatsDetail uint8

const (
	// StatsUsage: what the guest's kernel keeps.
	StatsUsage StatsDetail = iota
	// StatsCounted: also what the agent has to count, each process and its files.
	StatsCounted
)

// SandboxStats is the resource use of a pod and its containers.
type SandboxStats struct {
	Pod        *guestapi.PodStats
	Containers []*guestapi.ContainerStats
	// VMMemoryBytes and VMCPU are the host's cost of the VM.
	VMMemoryBytes uint64
	VMCPU         time.Duration
}

// EventKind is what happened to a container.
type EventKind uint8

// Event kinds of CRI.
const (
	EventCreated EventKind = iota
	EventStarted
	EventStopped
	EventDeleted
)

// Event tells of a change. Sandbox events have ContainerID == SandboxID, as
// containerd sends them.
type Event struct {
	Kind        EventKind
	Time        time.Time
	ContainerID string
	SandboxID   string
	// Sandbox and Containers are the pod's state just after the event; Sandbox is nil once it is removed.
	Sandbox    *SandboxStatus
	Containers []ContainerStatus
}
