package hns

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/containernetworking/cni/libcni"
	cnitypes "github.com/containernetworking/cni/pkg/types/100"
	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/network"
	"github.com/paddock-run/paddock/network/cni"
	"github.com/paddock-run/paddock/podsandbox/vm"
)

// undoTime bounds the tear-down after a failed set-up.
const undoTime = 30 * time.Second

// Network implements network.Network with CNI and the Host Compute Network.
type Network struct {
	cfg Config
	cni *libcni.CNIConfig
}

var _ network.Network = (*Network)(nil)

// New returns the network of a Windows host.
func New(cfg Config) (*Network, error) {
	for _, dir := range []string{cfg.recordsDir(), cfg.cacheDir()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("network state: %w", err)
		}
	}
	return &Network{cfg: cfg, cni: libcni.NewCNIConfigWithCacheDir(cfg.BinDirs, cfg.cacheDir(), nil)}, nil
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
		for _, suffix := range []string{".exe", ""} {
			if st, err := os.Stat(filepath.Join(dir, name+suffix)); err == nil && !st.IsDir() {
				return true
			}
		}
	}
	return false
}

// Prepare implements network.Network: nothing can be made before the plugins have run.
func (n *Network) Prepare(_ context.Context, id string) (vm.Endpoint, error) {
	if err := checkID(id); err != nil {
		return nil, err
	}
	r, err := n.cfg.load(id)
	if err == nil && r != nil {
		err = vm.ErrExists
	}
	if err != nil {
		return nil, fmt.Errorf("network of sandbox %s: %w", id, err)
	}
	return nil, n.cfg.save(&record{Request: network.Request{SandboxID: id}, Prepared: true})
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
	if req.Host {
		err := fmt.Errorf("%w: a pod's virtual machine cannot join the network of a Windows node; publish its ports with hostPort instead", network.ErrNoHostMode)
		return nil, errors.Join(err, n.Teardown(ctx, req.SandboxID))
	}
	r, err := n.cfg.load(req.SandboxID)
	if err != nil {
		return nil, err
	}
	if r != nil && r.Attachment != nil {
		return withEndpoints(r), nil
	}
	if r != nil && !r.Prepared { // half-made by a process that died
		if err := n.Teardown(ctx, req.SandboxID); err != nil {
			return nil, err
		}
	}
	att, err := n.setup(ctx, req)
	if err == nil {
		return att, nil
	}
	undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	return nil, errors.Join(err, n.Teardown(undo, req.SandboxID))
}

func (n *Network) setup(ctx context.Context, req network.Request) (*network.Attachment, error) {
	list, err := cni.LoadConf(n.cfg.ConfDir)
	if err != nil {
		return nil, err
	}
	r := &record{Request: req, Conf: json.RawMessage(list.Bytes)}
	if r.Namespace, err = newNamespaceID(); err != nil {
		return nil, err
	}
	if err := n.cfg.save(r); err != nil {
		return nil, err
	}
	noted := r.Namespace
	if r.Namespace, err = makeNamespace(noted); err != nil {
		return nil, err
	}
	if r.Namespace != noted {
		if err := n.cfg.save(r); err != nil {
			return nil, errors.Join(err, removeNamespace(r.Namespace))
		}
	}
	result, err := n.cni.AddNetworkList(ctx, list, cni.RuntimeConf(req, r.Namespace))
	if err != nil {
		return nil, fmt.Errorf("CNI network %q, ADD for pod %s/%s: %w", list.Name, req.PodNamespace, req.PodName, err)
	}
	res, err := cnitypes.NewResultFromResult(result)
	if err != nil {
		return nil, fmt.Errorf("CNI network %q: result: %w", list.Name, err)
	}
	att, err := attachment(r.Namespace, cni.DNSOf(res))
	if err != nil {
		return nil, fmt.Errorf("CNI network %q: %w", list.Name, err)
	}
	r.Attachment = withoutEndpoints(att)
	for _, i := range att.Interfaces {
		r.Endpoints = append(r.Endpoints, i.Endpoint.(vm.HCNEndpoint).ID)
	}
	return att, n.cfg.save(r)
}

// attachment is what the plugins made in a namespace. A resolver that the result
// names comes before the endpoints'.
func attachment(namespace string, dns network.DNS) (*network.Attachment, error) {
	endpoints, err := endpointsOf(namespace)
	if err != nil {
		return nil, err
	}
	att := &network.Attachment{NetNS: namespace, DNS: dns}
	if att.Interfaces, err = interfaces(endpoints); err != nil {
		return nil, err
	}
	for _, e := range endpoints {
		if len(att.DNS.Servers) == 0 {
			att.DNS = e.DNS
		}
	}
	return att, nil
}

func withoutEndpoints(att *network.Attachment) *network.Attachment {
	c := *att
	c.Interfaces = append([]network.Interface(nil), att.Interfaces...)
	for i := range c.Interfaces {
		c.Interfaces[i].Endpoint = nil
	}
	return &c
}

// withEndpoints is the record's Attachment as Setup returned it.
func withEndpoints(r *record) *network.Attachment {
	c := withoutEndpoints(r.Attachment)
	for i := range c.Interfaces {
		if i < len(r.Endpoints) {
			c.Interfaces[i].Endpoint = vm.HCNEndpoint{ID: r.Endpoints[i]}
		}
	}
	return c
}

// Teardown implements network.Network.
func (n *Network) Teardown(ctx context.Context, id string) error {
	if err := checkID(id); err != nil {
		return err
	}
	r, err := n.cfg.load(id)
	if err != nil || r == nil {
		return err
	}
	if r.Namespace != "" {
		// A network that never got as far as an Attachment may be one that no DEL can
		// ever succeed for (a plugin is missing): its pod must not be stuck for it.
		err := n.del(ctx, r)
		if err != nil && (r.Attachment != nil || ctx.Err() != nil) {
			return err
		}
		if err != nil {
			klog.FromContext(ctx).Error(err, "Removing a half-made network without its plugins' help", "sandbox", id)
			if err := removeNamed(id); err != nil {
				return err
			}
		}
	}
	if err := removeNamespace(r.Namespace); err != nil {
		return err
	}
	for _, e := range r.Endpoints {
		if err := removeEndpoint(e); err != nil {
			return err
		}
	}
	return n.cfg.forget(id)
}

// del runs CNI's DEL, which succeeds also for what was never added.
func (n *Network) del(ctx context.Context, r *record) error {
	list, err := libcni.ConfListFromBytes(r.Conf)
	if err != nil {
		return fmt.Errorf("CNI configuration of sandbox %s: %w", r.Request.SandboxID, err)
	}
	if err := n.cni.DelNetworkList(ctx, list, cni.RuntimeConf(r.Request, r.Namespace)); err != nil {
		return fmt.Errorf("CNI network %q, DEL for sandbox %s: %w", list.Name, r.Request.SandboxID, err)
	}
	return nil
}

// Expose implements network.Network: no sandbox is in host mode.
func (n *Network) Expose(_ context.Context, id string, _ []network.HostPort) ([]network.Refusal, error) {
	return nil, fmt.Errorf("sandbox %q is not on the node's network: %w", id, vm.ErrNotFound)
}

// NodeListeners implements network.Network: no sandbox is in host mode.
func (n *Network) NodeListeners(_ context.Context, id string) ([]network.HostPort, error) {
	return nil, fmt.Errorf("sandbox %q is not on the node's network: %w", id, vm.ErrNotFound)
}

// Close lets go of what this process holds: nothing.
func (n *Network) Close() error { return nil }
