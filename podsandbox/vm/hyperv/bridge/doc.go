// Package bridge speaks to the guest service that Microsoft puts into its utility
// VMs: of Windows pods on Windows hosts it is the only way in. Unlike Paddock's own
// agent this guest dials the host, once for the bridge and once for each standard
// stream of a process.
//
// A message is a header of 16 bytes, little-endian, and JSON:
//
//	u32 type │ u32 size, header included │ u64 id │ JSON
//
// The type's highest 4 bits say what it is (1 request, 2 response, 3 notification),
// then come 8 bits of category (1: compute system), 12 of the procedure, 8 of its
// version. A response has its request's id and procedure.
//
//	host                                  guest
//	 │ ◀──────────────────── dials BridgeService
//	 │ NegotiateProtocol(4, 4) ────────────▶ │
//	 │ ◀──────── version, capabilities       │
//	 │ Create, Start of NullID ────────────▶ │ where the capabilities ask for it
//	 │ ModifySettings HvSocket ────────────▶ │ the VM's addresses, likewise
//	 │ Create(container) ──────────────────▶ │
//	 │ ExecuteProcess(stdio services) ─────▶ │ starts a process
//	 │ ◀──────── dials stdio services        │
//	 │ WaitForProcess ─────────────────────▶ │
//	 │ ◀───────────────────── its exit code  │ when it ends
//	 │ ◀───── notification: container exited │
//
// The protocol has no public specification. It was read off Microsoft's sources,
// github.com/Microsoft/hcsshim v0.14.0: internal/gcs (the host's side),
// internal/gcs/prot (messages), internal/guest/bridge and internal/guest/prot (its
// guest service for Linux, against which e2e/bridge tests this package), and
// internal/uvm (which requests are made of a Windows guest, and in which order).
//
// The guest is not trusted: messages are bounded, what makes no sense ends the
// connection, a stream's service takes one connection and no more, and whatever the
// guest does not answer ends with the caller's context.
package bridge
