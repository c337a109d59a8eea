package qemu

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"github.com/containerd/ttrpc"

	"github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/guest/channel"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

// bootTime bounds a boot when the caller's context does not.
const bootTime = 2 * time.Minute

// redialPause is how long to wait before asking a booting guest again.
const redialPause = 5 * time.Millisecond

func (v *VM) address(socket string) channel.Address {
	if v.state.CID != 0 {
		return channel.Address(fmt.Sprintf("vsock:%d", v.state.CID))
	}
	return channel.Address("mux:" + filepath.Join(v.dir, socket))
}

// ShareChannel implements vm.VM.
func (v *VM) ShareChannel() channel.Address { return v.address(shareSocket) }

// Dial implements vm.VM.
func (v *VM) Dial(ctx context.Context, port uint32) (net.Conn, error) {
	if err := v.running(); err != nil {
		return nil, err
	}
	ctx, cancel := v.whileRunning(ctx)
	defer cancel()
	d, err := v.session(ctx)
	if err != nil {
		return nil, v.orExited(fmt.Errorf("reach the agent of VM %s: %w", v.state.ID, err))
	}
	conn, err := d.Dial(ctx, port)
	if err != nil {
		return nil, v.orExited(fmt.Errorf("dial port %d of VM %s: %w", port, v.state.ID, err))
	}
	return conn, nil
}

// session returns the channel's one session, opening it anew when it broke.
// Callers that come while it is being opened wait for that.
func (v *VM) session(ctx context.Context) (channel.Dialer, error) {
	for {
		v.mu.Lock()
		if v.closed {
			v.mu.Unlock()
			return nil, net.ErrClosed
		}
		if d := v.dialer; d != nil && !isDone(d.Done()) {
			v.mu.Unlock()
			return d, nil
		}
		if opening := v.dialing; opening != nil {
			v.mu.Unlock()
			select {
			case <-opening:
				continue
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		opening := make(chan struct{})
		v.dialing = opening
		v.mu.Unlock()
		return v.openSession(ctx, opening)
	}
}

func (v *VM) openSession(ctx context.Context, opening chan struct{}) (channel.Dialer, error) {
	d, err := channel.Open(ctx, v.address(agentSocket))
	v.mu.Lock()
	defer v.mu.Unlock()
	defer close(opening)
	v.dialing = nil
	if err != nil {
		return nil, err
	}
	if v.closed {
		d.Close()
		return nil, net.ErrClosed
	}
	v.dialer = d
	return d, nil
}

func isDone(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// hangUp ends the channel's session; the next Dial begins another.
func (v *VM) hangUp() {
	v.mu.Lock()
	d := v.dialer
	v.dialer = nil
	v.mu.Unlock()
	if d != nil {
		d.Close()
	}
}

// awaitAgent returns once the agent has answered a handshake.
func (v *VM) awaitAgent(ctx context.Context) error {
	return v.awaitReady(ctx, func(ctx context.Context) error {
		return v.withAgent(ctx, func(agent api.AgentService) error {
			_, err := agent.Handshake(ctx, &api.HandshakeRequest{ProtocolMin: api.ProtocolMin, ProtocolMax: api.ProtocolMax})
			return err
		})
	})
}

// awaitReady tries until it works, the VM ends or too much time passes.
func (v *VM) awaitReady(ctx context.Context, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, bootTime)
	defer cancel()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		if errors.Is(err, vm.ErrExited) || ctx.Err() != nil {
			return fmt.Errorf("wait for the agent: %w", err)
		}
		select {
		case <-time.After(redialPause):
		case <-ctx.Done():
		case <-v.exited:
		}
	}
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

// Shutdown implements vm.VM. A guest whose agent does not answer gets its power button pressed.
func (v *VM) Shutdown(ctx context.Context) error {
	if err := v.running(); err != nil {
		return err
	}
	err := v.withAgent(ctx, func(agent api.AgentService) error {
		_, err := agent.Shutdown(ctx, &api.ShutdownRequest{})
		return err
	})
	if err != nil && v.running() == nil {
		_ = v.execute(ctx, "system_powerdown", nil, nil)
	}
	return v.awaitExit(ctx, "shut down")
}
