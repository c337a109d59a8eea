// Package hns is the network of Windows hosts: CNI as containerd runs it there,
// on the Host Compute Network (HCN).
//
// A sandbox has an HCN namespace, whose GUID is what plugins know as CNI_NETNS.
// A plugin makes an endpoint, with addresses, routes and a hardware address, and
// adds it to the namespace; the VM is given a network adapter on each endpoint, and
// the agent configures the guest's interfaces as the endpoints say.
//
//	(no record, or prepared) ──Setup──▶ record ──▶ namespace, noted ──CNI ADD──▶ endpoints ──▶ Attachment, noted
//	     ▲                                                                              │
//	     └──────── record removed ◀── namespace deleted ◀── CNI DEL ◀──Teardown─────────┘
//
// HCN chooses a namespace's GUID. A daemon that dies between making the namespace
// and noting its GUID leaves it, empty: the one thing that is not found again.
//
// A VM cannot join the node's own stack, and Windows has no means to lead the node's
// ports to it as the Linux host does: host mode is ErrNoHostMode.
package hns
