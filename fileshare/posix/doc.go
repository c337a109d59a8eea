// Package posix serves one host file or directory tree as a FUSE file system,
// for a client that is not trusted.
//
// Every inode the client knows is an O_PATH descriptor of ours. A request
// names an inode by its number and at most one path component below it, so no
// path of the client's is ever resolved: ".." and "/" are refused, symlinks
// are opened as symlinks, and their text is only ever handed back. Files are
// opened through the descriptor's entry in /proc/self/fd, and only if the inode is a
// regular file or directory: device nodes and FIFOs in the tree can be listed
// and made, never opened here.
//
// New files are made with the caller's fsuid and fsgid, so owner, setgid
// directories and quotas come out as for a local process, in one step.
// With a mapping (ids.go) that is the id which the caller's stands for.
// Permissions are checked by the client's kernel (default_permissions), which
// knows the caller's groups; the server itself acts as root within the tree.
package posix
