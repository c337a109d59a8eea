// Package agent is what PID 1 of a utility VM does for the host: it answers
// the service of guest/api on the control port and carries stdio, forwarded
// ports and file shares on the stream port.
//
// A container moves through these states; its record goes with Deleted:
//
//	CreateContainer ──▶ Created ──StartContainer──▶ Running ──(exit | signal)──▶ Ended
//	                       └───────────────(signal)───────────────────────────────▶ │
//	                                                            DeleteContainer ──▶ Deleted
//
// All state lives in the agent and none in a connection: the host may go away
// at any time and come back. Requests come from the host, which is trusted;
// what runs in containers is not, so every path inside an image or a volume is
// resolved with openat2 and never by following a link out of it.
//
// A pod's containers use the VM's own network, IPC and UTS namespaces. A pod with
// a user namespace has one that owns namespaces of its own (podns.go): the agent
// stays outside and enters them on threads of their own to configure the
// network, set sysctls and forward ports. Layers are mounted with the user namespace's ids; what the agent
// makes for the pod (folders, its files, pipes) is given to its ids, since none of it outlives the VM.
//
// Locks: Agent.mu guards the tables; a container's mu guards its state. A
// container's mu is never held while Agent.mu is taken.
package agent
