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
// When a stream is lost the requests on their way get EIO at once, since
// whether the host has done them is unknown; later ones wait for a new stream.
package fusepump
