// The package comment is in fileshare.go; what follows is how it is kept.
//
// # Processes
//
//	daemon ── control.sock (JSON, root's fd by SCM_RIGHTS) ──▶ share server (one a sandbox)
//	                                                              │ dials, one stream a share
//	guest kernel ◀── /dev/fuse ──▶ fusepump in the agent ◀────────┘
//
// The daemon starts the server as a session of its own; it outlives the daemon
// and ends when its state directory is removed, when the guest has been
// unreachable for 30 seconds, or by Stop. Its end is seen through a pidfd:
//
//	Start ──▶ running ──crash──▶ ended ──by the daemon, or the next one──▶ running, with the recorded shares
//	             │ Stop            │ Stop
//	             ▼                 ▼
//	           (gone)            (gone)
//
// A share is recorded beside the control socket, with the identity of its root;
// one whose host path leads elsewhere since stays without a server. The mounts in the guest
// stay, and the pump tells the new server what the kernel told the former.
// A new server takes over the folders that the guest knew, which each server notes in a
// journal for the next, and finds them by name. It knows nothing of
// other inodes, nor of handles, and gives numbers that the former did not give. So after a crash
//
//   - what was on its way fails with EIO if it may have changed something;
//   - files that were open fail with ESTALE for good, and their locks are gone. All
//     that was written is on the host: writes go through;
//   - working directories, and watches of folders, go on, on file systems that know when a
//     file was made (all local ones do); watches of single files hear no more;
//   - everything else the guest's kernel looks up anew (it takes ESTALE as the reason
//     to), and it works, within about a tenth of a second while the daemon runs.
//     Without the daemon requests wait for 10 seconds and then get EIO, until it is back.
//
// Handles are not taken over: a lock may have gone to somebody else meanwhile, and an
// unlinked file has no name to open it by. A database sees an I/O error, ends, and
// recovers as from a crash, rather than go on without its locks.
//
// # On Windows
//
//	daemon ── named pipe (JSON; root's handle by DuplicateHandle) ──▶ share server
//
// The server confines itself: no privileges, a job of one process. It listens on its pipe
// itself; its end is seen through its handle. It takes over no folders of a former one, and there are
// no exports. Changes are heard of by ReadDirectoryChangesW, which does not say who made them: what the
// guest may have done itself is left out. Package ntfs is the file system.
//
// A share's stream:
//
//	Add ──▶ open ──broken──▶ reopening ──▶ open
//	          │ guest ends it          │
//	          ▼                        ▼
//	        closed ──Add──▶ open    Remove ──▶ ended
//
// # Exports
//
// A guest's mount below a share is shown on the node the other way round:
//
//	node's processes ── kernel ── /dev/fuse ──▶ mountPump in the share server ── stream ──▶ file system in the agent
//
// The daemon resolves the place, makes a FUSE file system, gives the device to
// the server, and attaches it when the guest has answered FUSE_INIT:
//
//	Export ──▶ device at the server ──FUSE_INIT──▶ attached ──Unexport, or the node unmounts──▶ ended
//	                 │ no answer                       │ stream lost ──▶ reopening ──▶ attached
//	                 ▼                                 ▼ server ends
//	               (gone)                            dead (ENOTCONN) until the next server starts, Unexport or Stop
//
// The source in the node's table of mounts names server and export, and is the
// only record of what to unmount. The guest's view of the share keeps showing
// what is below: another file at its mount point would make its kernel drop the mount.
//
// # Change notices
//
// What others change in a share's folders that the guest's kernel knows is told
// to the guest as what it was:
//
//	host's kernel ── fanotify ──▶ server ── notice, on the share's stream ──▶ replayer in the agent
//	                                                                            │ the same operation
//	                                  containers' inotify ◀── guest's kernel ◀──┘
//
// The agent answers the requests that its operation causes by itself, with what
// the server tells of the file (guest/agent/fusepump). Watched is what the guest
// knows, at most 8192 folders a sandbox, those used last; a file system without
// file handles cannot be watched. Events of the server's own process are dropped
// by their pid, so a guest hears of its own operations from its own kernel alone, once.
// Of a file that is written without end events are merged, to 100 a second. The
// agent looks at which inodes are watched in the guest (/proc/PID/fdinfo) when the host has
// changed something, and only then: for the others it drops what is cached, no more.
// More than 16384 changes waiting are dropped, and said so in the log.
//
// What this is not: writes through a shared mapping on the host make no event
// (nor do they on the host), a rename from or to a folder that the guest does not know is
// a deletion or a creation, and IN_OPEN, IN_ACCESS and IN_CLOSE_NOWRITE of the
// host are not told.
//
// # Caching
//
// The guest's kernel may keep attributes, and names of files and directories,
// for one second, and keeps no absent name and no symlink: kubelet publishes a
// configMap by renaming the symlink "..data", which is thus seen at once. With
// change notices what is cached of anything that the host edits is dropped
// within some milliseconds; without, within a second. The second stays
// with notices, too, as the bound should one be lost. File data are invalidated
// whenever a file is opened, or its size or mtime is seen changed
// (AUTO_INVAL_DATA). Writes go through: there is no writeback cache, because it would make
// the guest's idea of size and mtime win over the host's. Two sides that
// write the same pages of one file through shared mappings need msync and a reopen.
// O_APPEND is applied by the host for each write, so that both sides' lines stay whole.
//
// # Threat model
//
// Trusted: the host's kernel, the daemon, and who may edit the shared trees.
// Not trusted: the guest, its kernel included; it may send any bytes on a
// share's stream, at any rate, in any order. It may do to the files of a
// writable share what root may do, and nothing else.
//
//   - Leaving the share: a request names an inode by a number that we gave, and
//     at most one path component; components with "/", ".", ".." or NUL are refused before any
//     system call. Every lookup is an openat(O_PATH|O_NOFOLLOW) below a held
//     descriptor, so swapping directories and symlinks meanwhile does not help.
//     Symlink texts are never resolved. The process's root is empty:
//     share roots arrive as descriptors, and a mistake above would find no path to use.
//   - Ids: a share with a mapping shows and takes owners as an idmapped mount
//     would, in the server, by what the daemon said: nothing that a guest sends
//     changes it. Who is not mapped makes nothing; what belongs to one who is not
//     mapped cannot be changed, given away, moved or linked, and no device node can be made. It
//     does not bound reading: modes are checked by the guest's kernel, and a hostile one
//     reads whatever the share holds.
//   - Devices and FIFOs: may be made (as by root in a container) and are never
//     opened by the server; a device node's data stay the guest's own devices.
//   - Another share: inode and handle numbers are per share, and a handle is
//     valid for its inode only. A read-only share refuses changes in the
//     server, whatever the guest's mount says.
//   - Exhaustion: messages are bounded at 1 MiB + 4 KiB, answers likewise,
//     requests at work at 128 a share, lock waits at 1024, shares at 1024,
//     descriptors (handles, lock owners, inodes in use) of all shares of a sandbox by
//     the process's limit, inodes that the guest knows at a million (some 300 MB):
//     beyond it ENFILE for this sandbox only. Bulk
//     buffers take at most 256 MiB for all shares together. A guest that does not read its answers stalls itself.
//     Disk space is bounded by the tree's own quota, not here.
//   - Exports: the place that a guest names is resolved beneath the share's
//     root by handles, no link followed, and its root compared with the share's; 64 a
//     sandbox. The node's kernel gets answers to its own requests only, bounded at
//     1 MiB + 4 KiB, and no notices; ETIMEDOUT after 30 seconds without one, and FUSE_POLL is
//     answered here, so that a guest cannot hold a process of the node up for good.
//   - A decoder's error or panic is EIO for one request; a message of impossible length ends the stream.
//   - After a compromise of the server: capabilities are cut to those of file
//     ownership and permissions (no SYS_ADMIN, SYS_PTRACE, NET_ADMIN),
//     no_new_privs is set, a seccomp filter refuses exec, mounts, namespaces,
//     ptrace, bpf, modules, keys and opening files by handle; its mount namespace
//     is its own. What remains in reach are the roots of the pod's shares; with
//     their descriptors ".." would lead above a share, which is why the name check is
//     the one place that every name passes.
//   - Side effects by design: setuid files and device nodes can be made on the
//     host's disk by a writable share, as a privileged container could; mount such
//     trees nosuid,nodev.
package fileshare
