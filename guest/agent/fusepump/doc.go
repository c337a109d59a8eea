// Package fusepump mounts shares in the guest: it opens /dev/fuse, mounts it,
// and copies the kernel's FUSE messages to a stream that the host has opened,
// and the answers back. The file system itself runs on the host.
//
//	Register ──▶ stream waits ──Mount──▶ pumping ──stream lost──▶ waiting ──Register──▶ pumping
//	                                        │                        │ (ReconnectTimeout)
//	                                     Unmount                     ▼
//	                                        ▼                     failing: every request EIO,
//	                                    unmounted ◀──Unmount────  until a Register
//
// When a stream is lost the requests on their way fail at once: with EIO, since
// whether the host has done them is unknown, or ESTALE if they change nothing, at
// which the kernel tries the path anew. Later ones wait for a new stream. It may
// come from a new server: each new stream begins with a copy of the kernel's
// FUSE_INIT, whose answer the pump keeps.
package fusepump
