// Package channel carries many connections between the host and a guest. The
// host dials, the guest listens; a guest has no means to open a connection.
//
// Where the host has sockets to its guests (AF_VSOCK, AF_HYPERV) a connection is
// such a socket. Where it has only a byte pipe (virtio-serial) a multiplexer
// runs over it: NewGuestMux at the guest's end, Open with a mux: address at the
// host's.
//
// # The multiplexer's wire format
//
// Either end may be cut off in the middle of a frame, with the pipe living on:
// a host process is killed, a new one connects to the same pipe. So a session
// begins with a handshake that needs no agreement on where frames begin:
//
//	host                                guest
//	 │ one longest frame of zeros ───────▶ │ completes any frame cut off; never valid
//	 │ HELLO(magic, version, nonce) ─────▶ │ ends the old session, all its streams are reset
//	 │ ◀────── ACK(magic, version, nonce)  │ begins a session keyed by the nonce
//	 │   drops all before the ACK          │
//
// Then both exchange frames: a header (type, flags, stream, payload length,
// check), the payload, a trailer. Check and trailer derive from the session's nonce,
// the direction and the frame's sequence number, so that no frame is delivered
// that was completed by foreign bytes. A frame that does not hold ends the
// session; the guest then hunts for the next HELLO.
//
//	           OPEN(port)                CLOSE_WRITE sent and received
//	(host) ───────────────▶ opening ─OPENED▶ open ─────────────────────▶ closed
//	                          │ REFUSED       │ CLOSE or RESET, either way ▲
//	                          └───────────────┴──────────────────────────┘
//
// Each stream has a window of Window bytes a direction, which the receiver
// renews by CREDIT as its reader consumes: a slow reader blocks its own stream
// only. A peer that overruns a window, or sends a frame that makes no sense,
// ends the session.
package channel
