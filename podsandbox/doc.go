// Package podsandbox holds pod sandboxes and their containers: their state
// machines, store, recovery, logs and statistics. Every sandbox is a utility VM.
//
// A sandbox (what is stored in its record, and what CRI sees of it):
//
//	    pool ──▶ prepared (base.go, pool.go: no pod is in it)
//	                 │ taken
//	                 ▼
//	RunSandbox ──▶ making ──▶ live/Ready ──(VM ends)──▶ live/NotReady
//	                 │              │                        │
//	               (undo)      StopSandbox ◀─────────────────┘
//	                 │              ▼
//	                 │        stopped/NotReady ──RemoveSandbox──▶ (gone)
//	                 ▼
//	              (gone)
//
// A container:
//
//	CreateContainer ──▶ making ──▶ live/Created ──StartContainer──▶ live/Running
//	                      │            │    │                            │
//	                    (undo)         │    └─(StartError, VM ends)──┐   │ (process or VM ends)
//	                      ▼            │                             ▼   ▼
//	                   (gone) ◀────────┴──── RemoveContainer ──── live/Exited
//
// "making" is the write-ahead intent: a record of it found at start is undone.
// A change is stored before it is seen: record, then status, then event.
//
// Locks, in the order they may be taken:
//
//	sandbox.op, container.op   serialise Stop and Remove (sandbox), Create, Start, Update, Remove and the
//	                           telling of the end (container); held over I/O, waited for no longer than the context
//	sandbox.updating           serialises UpdateSandbox
//	container.limits           serialises the setting of limits; held over I/O
//	sandbox.sizing             serialises changes of the VM's size, held over I/O likewise
//	sandbox.commit, container.commit   make a change of record and status one step; held over the store's write only
//	Manager.mu, sandbox.mu     guard the maps; never held over I/O
//
// propagation.op is held while the node is made to show a guest's mounts: taken
// under sandbox.op, and with container.commit taken under it.
//
// StopContainer stops without an op lock; exec, attach, stats and all reads take none. Users of a
// sandbox's VM pass its gate, which StopSandbox closes and waits to empty.
package podsandbox
