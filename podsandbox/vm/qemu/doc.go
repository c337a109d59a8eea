// Package qemu is the vm.Host of Linux hosts: one QEMU process per VM, on KVM
// where it works and on QEMU's own translator (TCG) elsewhere.
//
// # Life of a VM
//
// QEMU outlives the daemon. What there is of a VM is in its directory below
// Config.StateDir; the directory is its existence:
//
//	(no directory)
//	     │ Create: mkdir, state.json without a pid
//	     ▼
//	 Reserved ──daemon dies──▶ Open: looks for a QEMU with the VM's UUID
//	     │ start QEMU; state.json with pid and start time
//	     ▼
//	  Booting ──error, ctx──▶ kill, wait, remove the directory
//	     │ the agent answers a handshake
//	     ▼
//	  Running ◀─Open── (daemon restarted: pid and start time still match)
//	     │ the pidfd becomes readable; exit.json
//	     ▼
//	  Exited ──Release: remove cgroups, then the directory──▶ (no directory)
//
// Booting is one way to Running. The other is a clone:
//
//	Booting ══(-incoming)══▶ Resuming ──the template's state is loaded──▶ the agent answers ▶ Running
//
// # Templates
//
// A template is a machine that has booted and in which no pod has been: its
// memory and its device state, in two sealed memory files. A clone is a new QEMU
// that maps the memory privately and loads the state, so that it starts in a
// fraction of a boot and shares all pages that it has not written.
//
//	(none) ──first VM of a shape──▶ Making ──▶ Ready ──other shapes, used later──▶ (none)
//	   ▲                              │          │
//	   └──── failed: again after a minute        └─ a clone fails: made anew ──▶ Making
//
// Making is to load what an earlier process kept in Config.TemplateDir, if its
// digests hold, else to boot; VMs meanwhile boot. A kept template is named by
// what went into it: kernel, initrd, QEMU, command line, boot of the host.
// Everything that a clone must not share with its siblings is made anew by the
// agent (Personalize) before a pod comes; docs/security.md says what stays shared.
//
// How a VM ended is read from what it left: the mark that Terminate sets before
// it kills, and two lines of trace in QEMU's log. So a daemon that was away
// meanwhile learns the same reason.
//
// # Devices
//
// Every VM of one shape (see args.go) has the same devices at boot:
//
//	q35
//	├─ virtio-mem      memory added by Resize (only if it may grow)
//	├─ serial port     the guest's console, to a bounded file
//	├─ virtio-serial   ports paddock.agent and paddock.share   ┐ one of
//	├─ vhost-vsock     where the host has it                   ┘ the two
//	├─ virtio-scsi     disks: channel 0, target 0, LUN 0 to 254
//	├─ virtio-rng
//	└─ 4 root ports    one NIC each (virtio-net); the first one's from the start, with Config.Endpoint
//
// Processors have places up to the host's number, at most 32 unless the VM begins
// with more; Resize fills them.
//
// Disks and NICs are plugged while it runs. QEMU itself is the record of them:
// names and notes of its objects carry path, LUN and id, and a restarted daemon
// asks for them.
//
// # Security
//
// A guest reaches the host through QEMU's device models, and the agent's channel
// through a parser that bounds all (package channel). A guest that takes over
// its QEMU finds itself:
//   - as a user of its own, without capabilities (not with Config.RunAsRoot, and
//     not where only root may open /dev/kvm);
//   - in an empty network namespace, and IPC and UTS namespaces of its own;
//   - under QEMU's seccomp filter: no exec, no fork, no change of user, no
//     change of priorities;
//   - with open descriptors for its own disks (read-only ones opened so), taps,
//     kernel, initrd, log, the template's sealed memory and the listening sockets
//     of its channels, and no right to its state directory;
//   - able to lie on its monitor and channels, whose messages are bounded, and
//     to append to its log. The log is not bounded against a taken-over QEMU.
//
// It still sees the host's file tree as that user does, for there is no mount
// or PID namespace of its own, and it may use processor and memory up to the
// limits of CgroupParent.
package qemu
