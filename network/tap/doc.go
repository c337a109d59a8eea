// Package tap is the pod network of Linux hosts: CNI in a network namespace per
// sandbox, and a tap for the VM beside every interface that CNI made.
//
//	    host namespace        sandbox's namespace              VM
//	bridge ── veth ════════ eth0 ─tc ingress─▶ tap0 ═══════ virtio-net
//	                             ◀─tc ingress─
//
// Every packet that arrives on eth0 is redirected to the tap and the other way
// round, before the namespace's own IP stack sees it. eth0 keeps the addresses
// that CNI gave it, so that CNI's DEL finds them and removes what it made for
// them (masquerade rules, leases); the guest has the same MAC and addresses.
//
// What is set up is written to StateDir before it is done, so that Teardown
// needs only the sandbox's id and finishes the work of a process that died in
// between. Steps, each safe to undo twice:
//
//	record ▶ namespace ▶ first tap ▶ (the pod is known) record ▶ CNI ADD ▶ further taps, redirects ▶ record with Attachment
//	└──────────── Prepare ───────┘                       └──────────────── Setup ───────────────────────────┘
//
// Without Prepare, Setup does it all.
package tap
