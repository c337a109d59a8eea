package tap

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"sync"

	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/network"
	"github.com/paddock-run/paddock/network/cni"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

// hostMode is what a Network knows of sandboxes in host mode beside their records.
type hostMode struct {
	// mu makes a change of records, links and rules one step.
	mu sync.Mutex
	// held are the reservations of this process, by sandbox.
	held map[string]map[network.HostPort]reservation
	// stale: the rules may not be what the records say.
	stale bool
}

// setupHost gives a sandbox a link of its own to the node.
func (n *Network) setupHost(ctx context.Context, req network.Request, tapped bool) (*network.Attachment, error) {
	if !n.cfg.HostRange4.IsValid() {
		return nil, fmt.Errorf("%w: it is refused by the configuration (hostNetwork.mode)", network.ErrNoHostMode)
	}
	if _, err := exec.LookPath("nft"); err != nil {
		return nil, fmt.Errorf("%w: %w; install nftables", network.ErrNoHostMode, err)
	}
	n.host.mu.Lock()
	defer n.host.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	link, err := n.freeLink(req.SandboxID)
	if err != nil {
		return nil, err
	}
	r := &record{Request: req, Host: &hostRecord{Link: link}, Tapped: tapped}
	if err := n.cfg.save(r); err != nil {
		return nil, err
	}
	if err := enableForwarding(); err != nil {
		return nil, err
	}
	netns := n.cfg.netnsPath(req.SandboxID)
	if !tapped {
		if err := n.makeNamespace(netns); err != nil {
			return nil, err
		}
	}
	if err := makeHostLink(netns, link); err != nil {
		return nil, err
	}
	if err := n.applyHost(ctx, ""); err != nil {
		return nil, err
	}
	att, err := attach(netns, []string{cni.IfName}, network.DNS{}, tapped)
	if err != nil {
		return nil, err
	}
	att.Node = link.Node4.Addr()
	return att, n.setUp(r, att)
}

// freeLink is the first link that no sandbox has and no network of the node overlaps.
func (n *Network) freeLink(id string) (hostLink, error) {
	hosts, err := n.hostRecords("")
	if err != nil {
		return hostLink{}, err
	}
	used, err := usedPrefixes()
	if err != nil {
		return hostLink{}, err
	}
	taken := map[int]bool{}
	for _, r := range hosts {
		taken[r.Host.Link.Index] = true
	}
	for index := range n.cfg.hostLinks() {
		l := n.cfg.hostLink(id, index)
		overlaps := slices.ContainsFunc(used, l.Node4.Overlaps) || slices.ContainsFunc(used, l.Node6.Overlaps)
		if !taken[index] && !overlaps {
			return l, nil
		}
	}
	return hostLink{}, fmt.Errorf("no link is free in %s and %s: each pod on the node's network needs one; set wider hostNetwork.ranges", n.cfg.HostRange4, n.cfg.HostRange6)
}

// teardownHost removes a sandbox's rules, reservations and link.
func (n *Network) teardownHost(ctx context.Context, r *record) error {
	id := r.Request.SandboxID
	n.host.mu.Lock()
	defer n.host.mu.Unlock()
	if err := n.applyHost(ctx, id); err != nil {
		// A sandbox that never was set up may be one whose rules can never be: it must not be stuck for it.
		if r.Attachment != nil || ctx.Err() != nil {
			return err
		}
		klog.FromContext(ctx).Error(err, "Removing a half-made link without its rules", "sandbox", id)
	}
	for _, held := range n.host.held[id] {
		held.release()
	}
	delete(n.host.held, id)
	forgetFlows(ctx, r.Host.Ports)
	if err := removeHostLink(hostLinkName(id)); err != nil {
		return err
	}
	if err := removeNetNS(n.cfg.netnsPath(id)); err != nil {
		return err
	}
	return n.cfg.forget(id)
}

// hostRecords are the records of sandboxes in host mode, but for one.
func (n *Network) hostRecords(except string) ([]*record, error) {
	ids, err := n.cfg.list()
	if err != nil {
		return nil, err
	}
	slices.Sort(ids)
	var out []*record
	for _, id := range ids {
		r, err := n.cfg.load(id)
		if err != nil && !errors.Is(err, errDamaged) {
			return nil, err
		}
		if r != nil && r.Host != nil && id != except {
			out = append(out, r)
		}
	}
	return out, nil
}

// applyHost makes the rules what the records say, without those of one sandbox.
func (n *Network) applyHost(ctx context.Context, except string) error {
	records, err := n.hostRecords(except)
	if err != nil {
		return err
	}
	var hosts []*hostRecord
	for _, r := range records {
		hosts = append(hosts, r.Host)
	}
	n.host.stale = true
	if err := applyRules(ctx, hostRules(&n.cfg, hosts)); err != nil {
		return err
	}
	n.host.stale = false
	return nil
}

// restoreHost takes up what an earlier process left: ports are reserved again
// before anything of the node can have them, and rules made good.
func (n *Network) restoreHost(ctx context.Context) error {
	n.host.mu.Lock()
	defer n.host.mu.Unlock()
	records, err := n.hostRecords("")
	if err != nil || len(records) == 0 {
		return err
	}
	for _, r := range records {
		granted, refused := n.hold(r.Request.SandboxID, r.Host.Ports)
		for _, no := range refused {
			klog.FromContext(ctx).Info("A port of a pod on the node's network is no longer free", "sandbox", r.Request.SandboxID, "port", no.Port, "reason", no.Reason)
		}
		if len(refused) > 0 {
			r.Host.Ports = granted
			if err := n.cfg.save(r); err != nil {
				return err
			}
		}
	}
	return n.applyHost(ctx, "")
}

// hostRecord loads the record of a sandbox in host mode that is set up.
func (n *Network) hostRecord(id string) (*record, error) {
	if err := checkID(id); err != nil {
		return nil, err
	}
	r, err := n.cfg.load(id)
	if err != nil {
		return nil, err
	}
	if r == nil || r.Host == nil || r.Attachment == nil {
		return nil, fmt.Errorf("host network of sandbox %s: %w", id, vm.ErrNotFound)
	}
	return r, nil
}
