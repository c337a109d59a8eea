// Package channel carries many connections between the host and a guest. The
// host dials, the guest listens; a guest has no means to open a connection.
package channel
