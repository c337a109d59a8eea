package ocispec

import (
	"errors"
	"os"

	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// ErrInvalid: what was asked for can never work.
var ErrInvalid = errors.New("invalid container")

// Container is all that a specification is made from.
type Container struct {
	ID    string
	Image imagespec.ImageConfig

	Command, Args []string
	WorkingDir    string
	Env           []string // KEY=value; wins over the image's
	Hostname      string   // only for $HOSTNAME: the host name is the VM's
	TTY           bool

	Privileged          bool
	AddCapabilities     []string // with or without CAP_; ALL
	DropCapabilities    []string
	AmbientCapabilities []string
	NoNewPrivs          bool
	ReadOnlyRootfs      bool
	MaskedPaths         []string
	ReadonlyPaths       []string
	Seccomp             Seccomp

	Devices   []Device
	Resources Resources

	Annotations map[string]string
}

// Seccomp says which system call filter applies. The zero value is the runtime's default.
type Seccomp struct {
	Unconfined bool
	// Profile is a profile's JSON; nil for none of one's own.
	Profile []byte
}

// Device is a device of the guest, by its usual path, in a container.
type Device struct {
	ContainerPath, GuestPath string
	Permissions              string       // of r, w, m; "": all; NoAccess: none
	FileMode                 *os.FileMode // nil: 0666
	UID, GID                 *uint32      // nil: root's, or with UserOwned that of the container's user
	UserOwned                bool
}

// NoAccess makes a device's node without leave to use it.
const NoAccess = "none"

// Resources are a container's limits as CRI gives them; zero is unset.
type Resources struct {
	CPUPeriod, CPUQuota, CPUShares int64
	CpusetCpus, CpusetMems         string
	MemoryLimit, MemorySwapLimit   int64
	MemoryReservation, PidsLimit   int64 // PidsLimit -1: none
	OOMScoreAdj                    int64
	Hugepages                      []specs.LinuxHugepageLimit
	Unified                        map[string]string
}
