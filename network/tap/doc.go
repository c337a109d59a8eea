// Package tap is the network of Linux hosts. A pod network is CNI in a network
// namespace per sandbox, and a tap for the VM beside every interface that CNI made.
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
//
// # Host mode
//
// A sandbox on the node's network has a private link to the node in the place
// of what CNI makes; the rest is the same:
//
//	       node's namespace           sandbox's namespace              VM
//	node's ◀─ nftables ─▶ pdk… ══════ eth0 ─tc ingress─▶ tap0 ═══ virtio-net
//	addresses                              ◀─tc ingress─
//
// Setup makes the link and the rules where CNI's ADD is.
//
// The rules are one nftables table, a function of the records alone: every
// change replaces it in one transaction, and with the last sandbox it goes.
// They make the guest's packets leave with the node's addresses, let it reach
// the node's localhost by the node's end of the link, drop what it sends with
// addresses of others, and lead the node's ports that Expose names to the guest.
//
// Rules and not a proxy: clients' addresses are preserved, UDP is the same as
// TCP, no byte passes through a process of ours, and ports go on leading to the
// guest while no daemon runs. What a proxy would have had by itself, that a port
// is the guest's only if the node does not use it, a reservation gives: this
// process binds the port on the node before a rule leads away from it, and a
// port that cannot be bound gets no rule. A port that a process of the node binds
// while no daemon runs is given back to it when the next one starts.
//
// One lock makes a change of records, links, reservations and rules one step.
package tap
