// Package sockets tells which ports the sockets of a network namespace listen
// on, by the kernel's tables in /proc/net: they need no module, on the node nor
// in a guest.
package sockets
