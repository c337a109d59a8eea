// Package guestsockets listens for one utility VM's guest, and for nobody else.
// Microsoft's guest service in Windows VMs dials the host, once for its bridge and
// once for each standard stream of a process; Paddock's own guests never do.
//
// A socket of AF_HYPERV that is bound to a VM's RuntimeId takes connections of that
// partition only. That is how github.com/Microsoft/hcsshim listens (internal/uvm,
// create_wcow.go; internal/gcs, HvsockIoListen).
package guestsockets
