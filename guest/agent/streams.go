//go:build linux

package agent

import (
	"context"
	"net"
)

// PauseArg makes the agent's binary the first process of a pod's PID namespace.
const PauseArg = "pause"

// ServeStreams serves stream connections until the listener fails.
func (a *Agent) ServeStreams(ctx context.Context, l net.Listener, sharesOnly bool) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		c.Close()
	}
}
