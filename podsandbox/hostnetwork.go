package podsandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"k8s.io/klog/v2"

	guestapi "github.com/paddock-run/paddock/guest/api"
	"github.com/paddock-run/paddock/network"
)

const (
	// syncWait is how long a guest may hold the question for its ports back. What
	// the node begins to listen on is told that often.
	syncWait = time.Second
	// syncTime bounds one exchange of ports.
	syncTime = 10 * time.Second
	// syncPause is the least time between two, whatever a guest does.
	syncPause = 200 * time.Millisecond
	// maxGuestPorts bounds what is taken from a guest's answer.
	maxGuestPorts = 1024
)

func (cfg *SandboxConfig) onHostNetwork() bool { return cfg.Namespaces.Network == NamespaceNode }

// useNodeHostname gives a pod on the node's network the node's host name.
func useNodeHostname(cfg *SandboxConfig) (err error) {
	if !cfg.onHostNetwork() {
		return nil
	}
	if cfg.Hostname, err = os.Hostname(); err != nil {
		return fmt.Errorf("host name of the node: %w", err)
	}
	return nil
}

// networkError gives an error of Setup its class.
func networkError(err error) error {
	switch {
	case errors.Is(err, network.ErrNotReady):
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	case errors.Is(err, network.ErrNoHostMode):
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	return err
}

// joinNode adds what a guest on the node's network is told of the node; nothing for any other.
func (r *sandboxRun) joinNode(ctx context.Context, request *guestapi.ConfigureSandboxRequest) error {
	if !r.attachment.Host() {
		return nil
	}
	ports, err := r.m.deps.Network.NodeListeners(ctx, r.s.id)
	if err != nil {
		return fmt.Errorf("ports of the node: %w", err)
	}
	request.HostNetwork = &guestapi.HostNetwork{Node: r.attachment.Node.String(), Listeners: toListeners(ports)}
	request.Hosts, err = os.ReadFile("/etc/hosts")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("hosts file of the node: %w", err)
	}
	return nil
}

// watchPorts keeps a sandbox on the node's network and the node in step with
// what each listens on, until the sandbox ends.
func (m *Manager) watchPorts(s *sandbox) {
	w := portWatch{m: m, s: s}
	for s.live.Err() == nil {
		err := w.exchange()
		w.report(err)
		if err != nil {
			w.pause(syncWait)
		}
		w.pause(syncPause)
	}
}

// portWatch is what is known of a sandbox's ports.
type portWatch struct {
	m       *Manager
	s       *sandbox
	known   []*guestapi.Listener // the guest's last answer
	failed  string               // the last refusals that were logged
	trouble string               // the last error that was
}

// report logs an error once, however often it comes again.
func (w *portWatch) report(err error) {
	if err == nil {
		w.trouble = ""
		return
	}
	if text := err.Error(); text != w.trouble && w.s.live.Err() == nil {
		w.trouble = text
		klog.ErrorS(err, "Cannot keep the ports of a pod on the node's network up to date", "sandbox", w.s.id)
	}
}

func (w *portWatch) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-w.s.live.Done():
	}
}

// exchange tells the guest what the node listens on, and the node what the guest does.
func (w *portWatch) exchange() error {
	// Not the sandbox's life: a call that is given up is answered all the same.
	ctx, cancel := context.WithTimeout(w.m.life, syncTime)
	defer cancel()
	node, err := w.m.deps.Network.NodeListeners(ctx, w.s.id)
	if err != nil {
		return err
	}
	request := &guestapi.SyncPortsRequest{Node: toListeners(node), Known: w.known, WaitMillis: uint32(syncWait.Milliseconds())}
	err = w.s.agent.retry(ctx, func(conn *agentConn) error {
		answer, err := conn.SyncPorts(ctx, request)
		if err == nil {
			w.known = answer.GetGuest()
			w.known = w.known[:min(len(w.known), maxGuestPorts)]
		}
		return fromAgent(err)
	})
	if err != nil {
		return err
	}
	if w.s.live.Err() != nil {
		return nil
	}
	// Also when nothing changed: a port that was refused may be free now.
	refused, err := w.m.deps.Network.Expose(ctx, w.s.id, fromListeners(w.known))
	if err != nil {
		return err
	}
	w.tell(refused)
	return nil
}

// tell logs refusals that are new, and shows them in the sandbox's status.
func (w *portWatch) tell(refused []network.Refusal) {
	var lines []string
	for _, r := range refused {
		lines = append(lines, r.Port.String()+": "+r.Reason)
	}
	if text := strings.Join(lines, "; "); text != w.failed {
		w.failed = text
		if text != "" {
			klog.InfoS("Ports of a pod on the node's network are not reachable there", "sandbox", w.s.id, "ports", text)
		}
	}
	err := w.m.updateSandbox(w.s, func(r *sandboxRecord) bool {
		changed := !slices.Equal(r.Status.RefusedPorts, refused)
		r.Status.RefusedPorts = refused
		return changed
	})
	if err != nil {
		klog.ErrorS(err, "Cannot store which ports are refused", "sandbox", w.s.id)
	}
}

func toListeners(ports []network.HostPort) []*guestapi.Listener {
	var list []*guestapi.Listener
	for _, p := range ports {
		list = append(list, &guestapi.Listener{Udp: p.Protocol == network.UDP, Port: uint32(p.Port), Loopback: p.Loopback})
	}
	return list
}

// fromListeners leaves out what is no port.
func fromListeners(list []*guestapi.Listener) []network.HostPort {
	var ports []network.HostPort
	for _, l := range list {
		if l.GetPort() < 1 || l.GetPort() > 65535 {
			continue
		}
		p := network.HostPort{Port: uint16(l.GetPort()), Loopback: l.GetLoopback()}
		if l.GetUdp() {
			p.Protocol = network.UDP
		}
		ports = append(ports, p)
	}
	return ports
}
