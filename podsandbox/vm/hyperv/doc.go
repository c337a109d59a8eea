// Package hyperv is the vm.Host of Windows hosts: one utility VM of the Host
// Compute Service (HCS) per vm.VM. Documents, requests and the reading of exits
// build on every OS; the Host on Windows.
//
// # Life of a VM
//
// A VM outlives the daemon (ShouldTerminateOnLastHandleClosed is false). What we
// know of it is in its folder below Config.StateDir; the folder is its existence:
//
//	(no folder)
//	     │ Create: folder, state.json
//	     ▼
//	 Reserved ──daemon dies──▶ Open: is there such a compute system?
//	     │ access granted to kernel and initrd; HcsCreateComputeSystem;
//	     │ its RuntimeId, the address of its sockets, into state.json
//	     ▼
//	  Created ──HcsStartComputeSystem──▶ Booting ──error, ctx──▶ terminate, revoke, remove the folder
//	                                        │ the agent answers a handshake
//	                                        ▼
//	                                     Running ◀─Open── HcsOpenComputeSystem
//	                                        │ event SystemExited; exit.json
//	                                        ▼
//	                                      Exited ──Release: revoke access, remove the folder──▶ (no folder)
//
// HCS forgets a system that has ended and that nobody holds open. So of a VM that
// ended while no daemon ran it is known only that it ended: ExitKilled. That
// Terminate was called is noted before it is, and thus known.
//
// When the service itself ends (event ServiceDisconnect) the VM may live: it is
// opened anew when the service is back. ExitHostLost if it is not there any more.
//
// # Devices
//
//	generation 2, no firmware: LinuxKernelDirect
//	├─ 4 SCSI controllers of 64 LUNs   VHD and VHDX files
//	├─ up to 8 network adapters        endpoints of the Host Compute Network
//	└─ hvsock                          ports of the agent
//
// HCS cannot add processors to a running VM: each has as many as the host, up to 64,
// from the start, and a limit of their time that Resize raises. Memory is added
// and never taken away; it is backed when it is used, and what the guest frees
// goes back by its hints.
//
// A VM may open a file when it was granted access, one entry in the file's
// access list for each VM. Every grant is noted in state.json before it is made,
// and revoked when the disk is detached or the VM released.
//
// # Windows guests
//
// A VM for Windows pods boots by firmware from the share "os", the Files of an image's
// UtilityVM, and has a copy of its SystemTemplate.vhdx as its disk. It has one SCSI
// controller; folders and files of the host are shares, of which those of layers are kept
// until the VM ends. Its guest dials the host (package guestsockets), which has listened
// since before it started; package windowsagent makes of that the agent that Dial leads to.
// When the connection ends, Config.RedialTime is the guest's to dial again.
//
// # Security
//
// A Linux guest reaches nothing of the host: no process can listen for it (see
// the function guestSockets). The host dials two of its ports, as SYSTEM or an administrator.
// For a Windows guest SYSTEM and administrators can listen, each socket for that VM alone.
package hyperv
