package hyperv

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/containerd/ttrpc"

	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/guest/channel"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

const (
	// bootTime bounds a boot when the caller's context does not.
	bootTime = 2 * time.Minute
	// redialPause is how long to wait before asking a booting guest again.
	redialPause = 10 * time.Millisecond
	// askTime bounds one question to a booting guest.
	askTime = 10 * time.Second
)

// ShareChannel implements vm.VM.
func (v *VM) ShareChannel() channel.Address { return channel.HvsockAddress(v.state.RuntimeID) }

// Dial implements vm.VM.
func (v *VM) Dial(ctx context.Context, port uint32) (net.Conn, error) {
	if err := v.running(); err != nil {
		return nil, err
	}
	ctx, cancel := v.whileRunning(ctx)
	defer cancel()
	if v.guest != nil {
		conn, err := v.guest.agent.Dial(ctx, port)
		return conn, v.orExited(err)
	}
	d, err := channel.Open(ctx, v.ShareChannel())
	if err != nil {
		return nil, fmt.Errorf("reach the agent of VM %s: %w", v.state.ID, err)
	}
	defer d.Close() // connections live on
	conn, err := d.Dial(ctx, port)
	if err != nil {
		return nil, v.orExited(fmt.Errorf("dial port %d of VM %s: %w", port, v.state.ID, err))
	}
	return conn, nil
}

// whileRunning is ctx, ended by the end of the VM.
func (v *VM) whileRunning(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-v.exited:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// awaitAgent returns once the agent has answered a handshake.
func (v *VM) awaitAgent(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, bootTime)
	defer cancel()
	for {
		err := v.handshake(ctx)
		if err == nil {
			return nil
		}
		if v.running() != nil {
			return fmt.Errorf("wait for the agent: %w: %s", vm.ErrExited, v.ExitReason().Detail)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("wait for the agent: %w: %w", ctx.Err(), err)
		}
		if errors.Is(err, channel.ErrUnsupported) {
			return err
		}
		select {
		case <-time.After(redialPause):
		case <-ctx.Done():
		case <-v.exited:
		}
	}
}

func (v *VM) handshake(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	return v.withAgent(ctx, func(agent api.AgentService) error {
		_, err := agent.Handshake(ctx, &api.HandshakeRequest{ProtocolMin: api.ProtocolMin, ProtocolMax: api.ProtocolMax})
		return err
	})
}

// withAgent calls the agent on a connection of its own.
func (v *VM) withAgent(ctx context.Context, call func(api.AgentService) error) error {
	conn, err := v.Dial(ctx, api.ControlPort)
	if err != nil {
		return err
	}
	client := ttrpc.NewClient(conn)
	defer client.Close()
	return v.orExited(call(api.NewAgentClient(client)))
}
