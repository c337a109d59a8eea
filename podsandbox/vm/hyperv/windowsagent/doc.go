// Package windowsagent answers the calls of Paddock's guest protocol (guest/api) for
// a Windows VM. Its guest is Microsoft's service, which knows another protocol:
// package bridge. So the agent of a Windows VM lives on the host:
//
//	podsandbox ── guest/api ──▶ Agent ── bridge ──▶ guest service
//
// A container is created in these steps, and deleted in their reverse, as
// github.com/Microsoft/hcsshim does (internal/layers, internal/hcsoci, internal/uvm):
//
//	MountDisk        the container's scratch disk, by its LUN
//	CombinedLayers   the image's layers, shares of the host, under it
//	CreateContainer  a HostedSystem of that, mapped directories, limits, a namespace
//
// Start starts it and its process. A Windows container outlives its processes: the
// agent ends it when the process has ended for which it was made.
//
// What an Agent knows of containers is in a file. When the guest service dials again,
// after a daemon was killed or the connection broke, Connect finds containers and
// processes again, by Open of their ids: exit codes are not lost. Output is: the
// sockets that carried it have broken, and a guest has no second ones.
package windowsagent
