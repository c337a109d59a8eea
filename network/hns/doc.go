// Package hns is the network of Windows hosts: CNI as containerd runs it there,
// on the Host Compute Network (HCN).
//
// A sandbox has an HCN namespace, whose GUID is what plugins know as CNI_NETNS.
// A plugin makes an endpoint, with addresses, routes and a hardware address, and
// adds it to the namespace; the VM is given a network adapter on each endpoint, and
// the agent configures the guest's interfaces as the endpoints say.
//
//	(no record, or prepared) ──Setup──▶ record with its GUID ──▶ namespace ──CNI ADD──▶ endpoints ──▶ Attachment, noted
//	     ▲                                                                              │
//	     └──────── record removed ◀── namespace deleted ◀── CNI DEL ◀──Teardown─────────┘
//
// A namespace's GUID is chosen here and noted first, so that a daemon that dies while
// the service makes it finds it again. Should a service not take the GUID, its own is
// noted after, and a namespace can be left, empty, by a daemon that dies in between.
//
// A VM cannot join the node's own stack, and Windows has no means to lead the node's
// ports to it as the Linux host does: host mode is ErrNoHostMode.
package hns
