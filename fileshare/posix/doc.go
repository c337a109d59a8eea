// Package posix serves one host file or directory tree as a FUSE file system,
// for a client that is not trusted.
//
// A request names an inode by its number and at most one path component below
// it, so no path of the client's is ever resolved: ".." and "/" are refused,
// symlinks are opened as symlinks, and their text is only ever handed back. Files are
// opened through the descriptor's entry in /proc/self/fd, and only if the inode is a
// regular file or directory: device nodes and FIFOs in the tree can be listed
// and made, never opened here.
//
// # Inodes
//
// While a request works on an inode, that is an O_PATH descriptor of ours. A client
// may know many more inodes than there are descriptors:
//
//	         lookup                     not used, and others are needed
//	(none) ────────▶ known, open ──────────────────────────────▶ known, closed
//	   ▲                  │  ▲                                       │      │
//	   │     forgotten    │  └── request: found by name, and the same ┘      │ request: not found,
//	   └──────────────────┘                                                 ▼ or another
//	                                                                      ESTALE
//
// A closed inode is opened again from its nearest open ancestor, by the last names
// at which this server saw it, one component at a time, and is then compared:
// device, number, mount and time of birth must be those it had. Renames of the
// client's move the names along. What the host has renamed meanwhile is ESTALE;
// a client's kernel then looks the path up anew by itself, and a file that is open
// keeps its descriptor. Handles of the file system (open_by_handle_at) would find it
// after a rename, too, but with CAP_DAC_READ_SEARCH they reach every file of the
// disk, whatever the share's root: after a compromise of the server nothing would
// bound it. Names cannot lead out of the mounts that it was given.
//
// New files are made with the caller's fsuid and fsgid, so owner, setgid
// directories and quotas come out as for a local process, in one step.
// With a mapping (ids.go) that is the id which the caller's stands for.
// Permissions are checked by the client's kernel (default_permissions), which
// knows the caller's groups; the server itself acts as root within the tree.
package posix
