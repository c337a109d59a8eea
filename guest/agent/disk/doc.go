// Package disk finds SCSI disks where the VM's host attached them, mounts them
// once each, counts their users, and takes them out of the guest when the last
// one is gone, so that the host may detach them.
package disk
