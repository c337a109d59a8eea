package network

import (
	"errors"
	"fmt"
)

// ErrNoHostMode: the node's network is not available to sandboxes, by the
// configuration or because this host cannot; the error says which.
var ErrNoHostMode = errors.New("host network is not available")

// HostPort is a port that a sandbox in host mode, or the node, listens on (TCP) or is bound to (UDP).
type HostPort struct {
	Protocol Protocol
	Port     uint16
	// Loopback: on localhost only.
	Loopback bool
}

// String is the port as people write it, such as 80/tcp.
func (p HostPort) String() string {
	text := fmt.Sprintf("%d/%s", p.Port, p.Protocol)
	if p.Loopback {
		text += " on localhost"
	}
	return text
}

// Refusal is a port that the node does not lead to the sandbox that listens on it, and why.
type Refusal struct {
	Port   HostPort
	Reason string
}

// String is the protocol's name as in Kubernetes, in lower case.
func (p Protocol) String() string {
	switch p {
	case UDP:
		return "udp"
	case SCTP:
		return "sctp"
	}
	return "tcp"
}
