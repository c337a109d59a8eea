// Package networktest has the conformance suite of network.Network and an
// in-memory Fake that passes it.
package networktest
