// Package volumes runs real servers, from Debian's packages, with their data on
// a folder of the host's, and kills their pods' VMs in the middle of work.
//
// Each server goes the same way:
//
//	start ──▶ use ──▶ load ──SIGKILL to the VM──▶ start in a new pod ──▶ check ──▶ stop
//
// A client on the host notes what a server has acknowledged under load; after
// the kill all of it must be there, whole. What the server itself can check of
// its files is asked of it as well.
package volumes
