package tap

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/containernetworking/cni/libcni"
	cnitypes "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/version"
	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/network"
	"github.com/paddock-run/paddock/network/cni"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

// undoTime bounds the tear-down after a failed set-up.
const undoTime = 30 * time.Second

// delTime bounds CNI's DEL.
const delTime = 60 * time.Second

// Network implements network.Network with CNI and taps.
type Network struct {
	cfg  Config
	cni  *libcni.CNIConfig
	host hostMode
}

var _ network.Network = (*Network)(nil)

// New returns the network of a Linux host, and takes up what an earlier process exposed.
func New(ctx context.Context, cfg Config) (*Network, error) {
	if err := cfg.makeDirs(); err != nil {
		return nil, fmt.Errorf("network state: %w", err)
	}
	n := &Network{cfg: cfg, cni: libcni.NewCNIConfigWithCacheDir(cfg.BinDirs, cfg.cacheDir(), pluginExec{&version.PluginDecoder{}})}
	n.host.held = map[string]map[network.HostPort]reservation{}
	if err := n.restoreHost(ctx); err != nil {
		klog.FromContext(ctx).Error(err, "Pods on the node's network may not be reached yet")
	}
	return n, nil
}

// Close lets go of what this process holds. Sandboxes keep their networks.
func (n *Network) Close() error {
	n.host.mu.Lock()
	defer n.host.mu.Unlock()
	for id, ports := range n.host.held {
		for _, r := range ports {
			r.release()
		}
		delete(n.host.held, id)
	}
	return nil
}

// Status implements network.Network.
func (n *Network) Status() error {
	list, err := cni.LoadConf(n.cfg.ConfDir)
	if err != nil {
		return err
	}
	for _, name := range cni.PluginsOf(list) {
		if !n.hasPlugin(name) {
			return fmt.Errorf("%w: network %q needs the CNI plugin %q, which is not in %v; install it or set cni.binDirs",
				network.ErrNotReady, list.Name, name, n.cfg.BinDirs)
		}
	}
	return nil
}

func (n *Network) hasPlugin(name string) bool {
	for _, dir := range n.cfg.BinDirs {
		if st, err := os.Stat(dir + "/" + name); err == nil && !st.IsDir() {
			return true
		}
	}
	return false
}

// List implements network.Network.
func (n *Network) List(context.Context) ([]string, error) { return n.cfg.list() }

// Open implements network.Network.
func (n *Network) Open(_ context.Context, id string) (*network.Attachment, error) {
	if err := checkID(id); err != nil {
		return nil, err
	}
	r, err := n.cfg.load(id)
	if err != nil {
		return nil, err
	}
	if r == nil || r.Attachment == nil {
		return nil, fmt.Errorf("network of sandbox %s: %w", id, vm.ErrNotFound)
	}
	return r.Attachment, nil
}

// Setup implements network.Network.
func (n *Network) Setup(ctx context.Context, req network.Request) (*network.Attachment, error) {
	if err := checkID(req.SandboxID); err != nil {
		return nil, err
	}
	r, err := n.cfg.load(req.SandboxID)
	if err != nil {
		return nil, err
	}
	if r != nil && r.Attachment != nil {
		return r.Attachment, nil
	}
	if r != nil && !r.Prepared { // half-made by a process that died
		if err := n.Teardown(ctx, req.SandboxID); err != nil {
			return nil, err
		}
		r = nil
	}
	setup := n.setup
	if req.Host {
		setup = n.setupHost
	}
	att, err := setup(ctx, req, r != nil)
	if err == nil {
		return att, nil
	}
	undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	return nil, errors.Join(err, n.Teardown(undo, req.SandboxID))
}

func (n *Network) setup(ctx context.Context, req network.Request, tapped bool) (*network.Attachment, error) {
	list, err := cni.LoadConf(n.cfg.ConfDir)
	if err != nil {
		return nil, err
	}
	r := &record{Request: req, Conf: json.RawMessage(list.Bytes), Tapped: tapped}
	if err := n.cfg.save(r); err != nil {
		return nil, err
	}
	netns := n.cfg.netnsPath(req.SandboxID)
	if !tapped {
		if err := n.makeNamespace(netns); err != nil {
			return nil, err
		}
	}
	result, err := n.cni.AddNetworkList(ctx, list, cni.RuntimeConf(req, netns))
	if err != nil {
		return nil, fmt.Errorf("CNI network %q, ADD for pod %s/%s: %w", list.Name, req.PodNamespace, req.PodName, err)
	}
	res, err := cnitypes.NewResultFromResult(result)
	if err != nil {
		return nil, fmt.Errorf("CNI network %q: result: %w", list.Name, err)
	}
	att, err := attach(netns, podInterfaces(res, netns), cni.DNSOf(res), tapped)
	if err != nil {
		return nil, fmt.Errorf("CNI network %q: %w", list.Name, err)
	}
	return att, n.setUp(r, att)
}

// setUp notes that all of a sandbox is set up.
func (n *Network) setUp(r *record, att *network.Attachment) error {
	r.Attachment = withoutEndpoints(att)
	err := n.cfg.save(r)
	if err != nil {
		closeTaps(att)
	}
	return err
}

// attach puts a tap beside each of the namespace's interfaces named; the first
// one's may be there already.
func attach(netns string, names []string, dns network.DNS, tapped bool) (*network.Attachment, error) {
	att := &network.Attachment{NetNS: netns, DNS: dns}
	err := inNetNS(netns, func() error {
		for _, name := range names {
			iface, err := readInterface(name)
			if err != nil {
				return err
			}
			index := len(att.Interfaces)
			if index > 0 || !tapped {
				if err := addTap(index, &iface); err != nil {
					return err
				}
			} else if err := joinTap(tapName(index), &iface); err != nil {
				return err
			}
			att.Interfaces = append(att.Interfaces, iface)
		}
		return nil
	})
	if err == nil && len(att.IPs()) == 0 {
		err = errors.New("gave the pod no address")
	}
	if err != nil {
		closeTaps(att)
		return nil, err
	}
	return att, nil
}

// podInterfaces names the interfaces inside the namespace, eth0 first.
func podInterfaces(res *cnitypes.Result, netns string) []string {
	names := []string{cni.IfName}
	for _, i := range res.Interfaces {
		if i.Sandbox == netns && i.Name != cni.IfName && i.Name != "lo" {
			names = append(names, i.Name)
		}
	}
	return names
}

func withoutEndpoints(att *network.Attachment) *network.Attachment {
	c := *att
	c.Interfaces = append([]network.Interface(nil), att.Interfaces...)
	for i := range c.Interfaces {
		c.Interfaces[i].Endpoint = nil
	}
	return &c
}

func closeTaps(att *network.Attachment) {
	for _, i := range att.Interfaces {
		if t, ok := i.Endpoint.(vm.TapEndpoint); ok {
			t.File.Close()
		}
	}
}

// Teardown implements network.Network.
func (n *Network) Teardown(ctx context.Context, id string) error {
	if err := checkID(id); err != nil {
		return err
	}
	r, err := n.cfg.load(id)
	if errors.Is(err, errDamaged) {
		klog.FromContext(ctx).Error(err, "Tearing down by what CNI's cache tells", "sandbox", id)
		r, err = n.recoverRecord(id)
	}
	if err != nil {
		return err
	}
	if r != nil && r.Host != nil {
		return n.teardownHost(ctx, r)
	}
	netns := n.cfg.netnsPath(id)
	if r != nil && !r.Prepared {
		// A network that never got as far as an Attachment may be one that no DEL can
		// ever succeed for (a plugin is missing): its pod must not be stuck for it.
		err := n.del(ctx, r, netns)
		if err != nil && (r.Attachment != nil || ctx.Err() != nil) {
			return err
		}
		if err != nil {
			klog.FromContext(ctx).Error(err, "Removing a half-made network without its plugins' help", "sandbox", id)
		}
	}
	if err := removeNetNS(netns); err != nil {
		return err
	}
	return n.cfg.forget(id)
}

// del runs CNI's DEL, which succeeds also for what was never added. The caller's
// going away does not end it: a bridge plugin that is killed between deleting the
// interface and the rules for its addresses does not find those again.
func (n *Network) del(ctx context.Context, r *record, netns string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), delTime)
	defer cancel()
	list, err := libcni.ConfListFromBytes(r.Conf)
	if err != nil {
		return fmt.Errorf("CNI configuration of sandbox %s: %w", r.Request.SandboxID, err)
	}
	rt := r.runtimeConf(netns)
	if !isNetNS(netns) { // gone, for instance by a reboot
		if err := n.standIn(list, rt); err != nil {
			klog.FromContext(ctx).Error(err, "Masquerade rules may stay, as the network namespace is gone", "sandbox", r.Request.SandboxID)
		}
	}
	if !isNetNS(netns) {
		rt.NetNS = "" // plugins release what they hold elsewhere
	}
	if err := n.cni.DelNetworkList(ctx, list, rt); err != nil {
		return fmt.Errorf("CNI network %q, DEL for sandbox %s: %w", list.Name, r.Request.SandboxID, err)
	}
	return nil
}
