// Package processors takes processors into use that were added to the running
// machine: the kernel sees them, but leaves it to its users to switch them on.
package processors
