// Package api is the protocol between the host and the agent in a utility VM.
package api

//go:generate protoc -I . --go_out=. --go_opt=paths=source_relative --go-ttrpc_out=. --go-ttrpc_opt=paths=source_relative agent.proto

// Ports of the guest, dialled by the host only. On vsock and hvsock they are
// the socket's port; on a multiplexed channel the port named in its open frame.
const (
	// ControlPort speaks ttrpc with service Agent.
	ControlPort uint32 = 1024
	// StreamPort carries one stream a connection, after a StreamHeader.
	StreamPort uint32 = 1025
)

// Protocol versions this code speaks.
const (
	ProtocolMin uint32 = 1
	ProtocolMax uint32 = 1
)

// MaxStreamHeader bounds an encoded StreamHeader or StreamReply, in bytes.
const MaxStreamHeader = 4096
