// Package vm is the seam between pod sandboxes and the hypervisor that runs
// their utility VMs. Implementations: qemu (Linux hosts), hyperv (Windows
// hosts) and vmtest.Fake. Every implementation passes the suite in vmtest.
//
// A utility VM moves through these states; Exited is the only end:
//
//	Create ──▶ Running ──(Shutdown | Terminate | crash | kill)──▶ Exited ──▶ Release
//
// A VM outlives the process that made it: a later process finds it with List
// and takes it over with Open.
package vm

import (
	"context"
	"errors"
	"net"
	"os"
	"time"

	"github.com/paddock-run/paddock/guest"
	"github.com/paddock-run/paddock/guest/channel"
)

// Errors that implementations wrap, tested for with errors.Is.
var (
	// ErrNotFound: no VM, disk or NIC of that name.
	ErrNotFound = errors.New("not found")
	// ErrExists: the id is in use.
	ErrExists = errors.New("already exists")
	// ErrInvalid: the request can never work.
	ErrInvalid = errors.New("invalid")
	// ErrExited: the VM has ended.
	ErrExited = errors.New("VM has exited")
	// ErrNoSlots: the VM has no free slot for a further device.
	ErrNoSlots = errors.New("no free device slot")
	// ErrUnsupported: this host cannot do it.
	ErrUnsupported = errors.New("not supported by this host")
)

// Host makes and finds utility VMs. Its methods may be called concurrently.
type Host interface {
	// Create returns a ready VM: its agent answers on the control port and no
	// pod is in it. On error, or when ctx ends first, nothing of the VM is left.
	Create(ctx context.Context, cfg Config) (VM, error)
	// Open takes over a VM that an earlier process created, running or already
	// exited (its Exited channel then is ready at once). ErrNotFound if there is none.
	Open(ctx context.Context, id string) (VM, error)
	// List names every VM that has not been released, running or not, to take over or reap.
	List(ctx context.Context) ([]string, error)
	// Info describes the host's means, for doctor and Status.
	Info() Info
	// Close releases the Host's own resources. VMs go on running.
	Close() error
}

// Warmer is a Host that can prepare for VMs before they are asked for.
type Warmer interface {
	// Warm returns when Create of VMs as cfg describes is as quick as it gets, or
	// when that cannot be had. The Config's ID and CgroupParent do not matter.
	Warm(ctx context.Context, cfg Config) error
}

// Info describes a Host.
type Info struct {
	// Backend names the implementation: "qemu", "hyperv", "fake".
	Backend string
	// Accelerator is what runs guest code: "kvm", "tcg", "hyperv".
	Accelerator string
	// Emulated: guest code is translated when it first runs in a VM, which makes
	// that many times slower than later runs.
	Emulated bool
	// Channel is how the agent is reached: "vsock", "virtio-serial", "hvsock".
	Channel string
	// Details is for people: why the accelerator was chosen, versions.
	Details string
}

// Config describes a VM. It is a value; Create does not keep references into it.
type Config struct {
	// ID names the VM on this host: 1 to 64 characters of [a-z0-9-].
	ID string
	// GuestOS is the OS of the pods that the VM is for.
	GuestOS guest.OS
	// Resources is the size at start.
	Resources Resources
	// CgroupParent is the host cgroup for the VM's processes, as CRI names it;
	// "" for none, or for one that JoinCgroup tells later.
	CgroupParent string
	// Endpoint, if not nil, is the host's side of a network interface that the
	// VM has from the start, which is cheaper than to attach one. The VM
	// duplicates a TapEndpoint's file. The guest finds it by VM.BornMAC.
	Endpoint Endpoint
}

// Resources is a VM's size.
type Resources struct {
	// MemoryBytes is the guest's memory; implementations give what they support
	// that is at least as much; 0 lets the host choose.
	MemoryBytes uint64
	// CPUs is the number of virtual processors; 0 lets the host choose.
	CPUs uint32
}

// VM is a running, or just ended, utility VM. Its methods may be called
// concurrently; every method but ID, Exited and Release fails with ErrExited
// once the VM has ended.
type VM interface {
	// ID is the Config's.
	ID() string
	// Dial connects to a port of the guest. It fails at once if nothing listens there.
	Dial(ctx context.Context, port uint32) (net.Conn, error)
	// ShareChannel is a channel to the same agent for another process of this
	// host, so that file traffic does not pass through the caller. It names
	// the guest's stream port connections for shares only.
	ShareChannel() channel.Address
	// AttachDisk makes a disk visible to the guest at the address returned. The
	// same path may be attached once per VM; what is no DiskContent is attached again
	// at the same address. The guest finds the disk when this returns
	// or shortly after; the agent waits for it.
	AttachDisk(ctx context.Context, disk Disk) (DiskAddress, error)
	// DetachDisk takes the disk away; the guest must have unmounted it. ErrNotFound for a free address.
	DetachDisk(ctx context.Context, addr DiskAddress) error
	// AttachNIC gives the guest a network interface with nic.MAC.
	AttachNIC(ctx context.Context, nic NIC) error
	// DetachNIC takes it away.
	DetachNIC(ctx context.Context, id string) error
	// BornMAC is the hardware address of the interface on Config.Endpoint, until
	// the guest changes it: other VMs may have the same. Nil if there is none.
	BornMAC() net.HardwareAddr
	// JoinCgroup moves the VM's host processes below a cgroup, as CRI names it.
	// It is for a VM made before its pod was known; ErrInvalid if it has a cgroup.
	// A host without cgroups does nothing.
	JoinCgroup(ctx context.Context, parent string) error
	// Resize changes the VM's size; what is 0 stays. Memory that was added is the
	// guest's when this returns; of what is taken away the guest gives back what it
	// can, later, and never what it started with. Processors that were added are
	// there for the agent to take into use; none is ever taken away, so fewer than
	// it has changes nothing. ErrUnsupported: this host, or this VM, cannot grow so
	// far. Repeating it is fine.
	Resize(ctx context.Context, r Resources) error
	// Stats tells the host's cost of the VM.
	Stats(ctx context.Context) (Stats, error)
	// Exited is closed when the VM has ended; ExitReason then tells how.
	Exited() <-chan struct{}
	// ExitReason is meaningful once Exited is closed.
	ExitReason() Exit
	// Shutdown asks the guest to power off and waits until it has or ctx ends.
	Shutdown(ctx context.Context) error
	// Terminate ends the VM at once and waits until it is gone.
	Terminate(ctx context.Context) error
	// Release forgets an exited VM and removes its files. Releasing twice is fine.
	Release() error
	// Close drops this process's connections to the VM, which goes on running.
	Close() error
}

// Disk is a file or block device of the host, or, for Windows guests, a folder.
type Disk struct {
	// Path is absolute and clean.
	Path     string
	ReadOnly bool
	// Content is what of Path the guest sees. ErrUnsupported for what it, or this host, cannot.
	Content Content
	// Ephemeral: the contents need not outlive the host, so the guest's flushes
	// may be ignored.
	Ephemeral bool
}

// Content is what a guest sees of a Disk.
type Content uint8

const (
	// DiskContent: a disk, of which the path is an image or the device.
	DiskContent Content = iota
	// LayerContent: a folder that is a layer of a Windows image; for Windows guests of Windows hosts.
	LayerContent
	// FileContent: the file or folder itself; likewise.
	FileContent
)

// FolderController is the Controller of what is no DiskContent.
const FolderController = 0xffff

// DiskAddress is where the guest finds a disk: a SCSI controller's index, and a LUN
// on it; or FolderController, and a number.
type DiskAddress struct {
	Controller, LUN uint32
}

// NIC is a network interface to attach.
type NIC struct {
	// ID names the NIC within the VM: 1 to 32 characters of [a-z0-9-].
	ID  string
	MAC net.HardwareAddr
	MTU int
	// Endpoint is the host's side: TapEndpoint on Linux, HCNEndpoint on Windows.
	Endpoint Endpoint
}

// Endpoint is the host's side of a NIC.
type Endpoint interface{ endpoint() }

// TapEndpoint is an open tap device (IFF_TAP|IFF_NO_PI|IFF_VNET_HDR). The VM
// duplicates File; the caller keeps its own.
type TapEndpoint struct{ File *os.File }

// HCNEndpoint is an endpoint of the Windows Host Compute Network.
type HCNEndpoint struct{ ID string }

func (TapEndpoint) endpoint() {}
func (HCNEndpoint) endpoint() {}

// Stats is the host's cost of a VM.
type Stats struct {
	Time time.Time
	// CPU is the processor time of the VM's host processes.
	CPU time.Duration
	// MemoryBytes is the proportional set size of the VM's host processes.
	MemoryBytes uint64
}

// ExitKind classes the end of a VM.
type ExitKind uint8

const (
	// ExitShutdown: the guest powered off when asked.
	ExitShutdown ExitKind = iota + 1
	// ExitTerminated: Terminate ended it.
	ExitTerminated
	// ExitCrash: the guest's kernel panicked or reset.
	ExitCrash
	// ExitKilled: its host process was killed or failed.
	ExitKilled
	// ExitHostLost: the host's service that ran it is gone.
	ExitHostLost
)

// Exit tells how a VM ended.
type Exit struct {
	Kind   ExitKind
	Time   time.Time
	Detail string
}
