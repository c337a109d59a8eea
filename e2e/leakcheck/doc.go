// Package leakcheck tells what a runtime left on the machine: processes,
// mounts, network interfaces, packet filter rules, address leases and files
// that are there after a test and were not before.
package leakcheck
