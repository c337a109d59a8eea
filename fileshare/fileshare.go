// Package fileshare shows host files and folders to a guest with POSIX semantics.
//
// The guest kernel's own FUSE client is the file system: the agent mounts
// /dev/fuse and pumps its messages over a host-dialled stream to a server on
// the host, one process per pod, one root per share. See doc.go for the threat model.
package fileshare

import (
	"context"

	"github.com/paddock-run/paddock/guest/channel"
	"github.com/paddock-run/paddock/guest/idmap"
)

// Servers starts and finds the share servers of pods. Its methods may be called concurrently.
type Servers interface {
	// Start starts the server process of a sandbox, which reaches the guest by itself
	// through addr and outlives the caller. A running one is returned. Until it is
	// stopped, or the caller's connection closed, one that ends is started again with
	// its shares.
	Start(ctx context.Context, sandboxID string, addr channel.Address) (Server, error)
	// Open finds the server of a sandbox started by an earlier process; one that has
	// ended meanwhile is started again. vm.ErrNotFound: none was started, or it was stopped.
	Open(ctx context.Context, sandboxID string) (Server, error)
	// List names every sandbox with a server process or its files, to reap strays.
	List(ctx context.Context) ([]string, error)
	// Stop ends a sandbox's server and removes what it left, mounts on the node too. An unknown id succeeds.
	Stop(ctx context.Context, sandboxID string) error
}

// Server is the share server of one sandbox.
type Server interface {
	// Add opens a host path as a share and connects its stream to the guest, so that
	// AttachShare of the agent can mount it. Symlinks in hostPath are followed on the host.
	// Adding the same Share again is fine.
	Add(ctx context.Context, share Share) (Info, error)
	// Remove closes a share; the guest must have detached it. An unknown id succeeds.
	Remove(ctx context.Context, shareID string) error
	// Export shows on the node what is mounted in the guest at and below a share's
	// path: a FUSE file system that the guest serves, nosuid and nodev, in the
	// caller's mount namespace. It must not be in Exports. The share must follow mounts.
	// vm.ErrUnsupported: a Windows host.
	Export(ctx context.Context, e Export) error
	// Unexport unmounts it. An unknown id succeeds.
	Unexport(ctx context.Context, id string) error
	// Exports lists those made and not taken away, also those that the node has unmounted since.
	Exports(ctx context.Context) ([]string, error)
	// Exited is closed when the process has ended and is not started again: it was stopped.
	Exited() <-chan struct{}
	// Restarted has a value after the process has ended by itself and another serves its
	// shares. What it had open is lost, and its exports are gone.
	Restarted() <-chan struct{}
	// Close drops the caller's connection; the process goes on.
	Close() error
}

// Share is one host path shown to the guest.
type Share struct {
	// ID names the share within the sandbox: 1 to 64 characters of [a-z0-9-].
	ID       string
	HostPath string
	// ReadOnly refuses every change.
	ReadOnly bool
	// TopReadOnly refuses changes of the file system that HostPath lies on; what
	// is mounted below keeps its own rights. Not together with FollowMounts.
	TopReadOnly bool
	// FollowMounts shows what the host mounts and unmounts below HostPath later,
	// too. Without it the mounts stay as they were when the share was added.
	FollowMounts bool
	// IDs, if set, shows the tree as an idmapped mount of it would: ids on the disk
	// are the range's "container" ids, those in the guest its "host" ids. vm.ErrUnsupported on Windows hosts.
	IDs *idmap.Range
	// Watch tells the guest what others change in the tree, as inotify events and by
	// dropping what its kernel has cached. Without it changes are seen within a second.
	Watch bool
}

// Export is a mount of the guest's to be shown on the node.
type Export struct {
	// ID names it within the sandbox: 1 to 64 characters of [a-z0-9-].
	ID string
	// ShareID and HostPath are the share's.
	ShareID, HostPath string
	// Path is the place within the share, as the guest names it; "" is its root. No link in it is followed.
	Path string
	// Mount is the guest kernel's id of the mount.
	Mount uint64
	// IsFile: the mount shows a file, not a folder.
	IsFile bool
}

// Info is what the agent must know to mount a share.
type Info struct {
	RootIsFile bool
	MaxWrite   uint32
}
