// Package hcs is a stand-in for Windows' Host Compute Service, on Linux, for a
// paddock.exe under Wine whose computecore.dll (../dll) hands all calls to it.
//
// It is strict: documents must hold by the published schema (schema.go), virtual
// machines may open only files to which access was granted, calls out of order are refused,
// each with the HRESULT of the real service. It is real below: every system
// is a utility VM that QEMU boots from the document's kernel and initrd, with its
// disks (VHD and VHDX by QEMU's own drivers), interfaces and memory.
//
// What differs from Hyper-V, because the machine is QEMU's:
//   - the kernel's arguments that keep it from PCI, serial ports and the PM timer are dropped;
//   - SCSI controllers are virtio's, in the order of guest.HyperVControllers;
//   - hvsock connections come over TCP (hvsock.go), and reach the agent by its
//     virtio-serial port; the document's service table decides about them;
//   - an interface is a tap on the bridge of its endpoint's network.
//
// A system's states:
//
//	Created ──Start──▶ Running ◀──Pause, Resume──▶ Paused ──Save──▶ Stopped
//	                      └──(guest, Terminate, end of QEMU)──────────▶ │ last handle closed
//	                                                                    ▼
//	                                                                 (gone)
package hcs
