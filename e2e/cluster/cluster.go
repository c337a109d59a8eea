package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/e2e/checkout"
	"github.com/paddock-run/paddock/e2e/cninet"
	"github.com/paddock-run/paddock/e2e/criclient"
	"github.com/paddock-run/paddock/e2e/daemon"
	"github.com/paddock-run/paddock/e2e/registry"
)

// ImageHost is the host of the images in the cluster's registry.
const ImageHost = "paddock.test"

// Options of a cluster.
type Options struct {
	// Root holds what lives on disk, State what lives in memory. Both exist; State is short, for sockets lie below it.
	Root, State string
	// LogLevel is the daemon's verbosity.
	LogLevel int
}

// Socket is the daemon's.
func (o Options) Socket() string { return filepath.Join(o.State, "cri.sock") }

// Cluster is a control plane and a node.
type Cluster struct {
	// Client and Config talk to the API server as its administrator; so does kubectl by Kubeconfig.
	Client     kubernetes.Interface
	Config     *rest.Config
	Kubeconfig string
	// Daemon is the node's Paddock.
	Daemon *daemon.Daemon
	// CRI speaks to it directly.
	CRI      *criclient.Client
	Registry *registry.Registry
	Network  *cninet.Network

	opts    Options
	cgroup  string // below which kubelet makes its groups
	ca      *authority
	kubelet *process
	undo    []func() error
}

// New prepares a cluster; nothing runs yet but its registry.
func New(o Options) (*Cluster, error) {
	k8s, err := checkout.Built("bin/k8s", "k8s")
	if err != nil {
		return nil, err
	}
	c := &Cluster{opts: o, Kubeconfig: filepath.Join(o.Root, "admin.conf"), cgroup: "/" + filepath.Base(o.Root)}
	if err := c.linkPrograms(k8s); err != nil {
		return nil, err
	}
	if c.Network, err = cninet.New(o.Root, "pdkc"); err != nil {
		return nil, err
	}
	if c.Registry, err = registry.Start(filepath.Join(o.Root, "registry")); err != nil {
		return nil, err
	}
	c.undo = append(c.undo, c.Registry.Close)
	return c, nil
}

// Start brings the cluster up until the node is ready. Stop has to be called after a failure too.
func (c *Cluster) Start(ctx context.Context) error {
	c.undo = append(c.undo, c.Network.Remove)
	if err := nodeInterface(); err != nil {
		return err
	}
	c.undo = append(c.undo, func() error { return removeCgroup(c.cgroup) })
	if err := makeCgroup(c.cgroup); err != nil {
		return err
	}
	if err := c.issue(); err != nil {
		return err
	}
	if err := c.connect(); err != nil {
		return err
	}
	if err := c.prepareRuntime(); err != nil {
		return err
	}
	started := make(chan error, 1)
	go func() { started <- c.Daemon.Start(ctx) }() // boots a first VM meanwhile
	err := c.startControlPlane(ctx)
	if err := errors.Join(err, <-started); err != nil {
		return err
	}
	if err := c.startProxy(); err != nil {
		return err
	}
	if err := c.StartKubelet(ctx); err != nil {
		return err
	}
	return c.await(ctx, "the namespace has its service account", func(ctx context.Context) error {
		_, err := c.Client.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
		return err
	})
}

// connect makes the administrator's client; the API server need not run yet.
func (c *Cluster) connect() error {
	var err error
	if c.Config, err = clientcmd.BuildConfigFromFlags("", c.Kubeconfig); err != nil {
		return err
	}
	c.Config.QPS, c.Config.Burst = 100, 200
	c.Client, err = kubernetes.NewForConfig(c.Config)
	return err
}

// prepareRuntime configures the daemon.
func (c *Cluster) prepareRuntime() error {
	certs := filepath.Join(c.opts.Root, "certs.d")
	if err := c.Registry.WriteMirror(certs, ImageHost); err != nil {
		return err
	}
	var err error
	c.Daemon, err = daemon.New(daemon.Options{
		Root: filepath.Join(c.opts.Root, "d"), State: filepath.Join(c.opts.State, "s"), Socket: c.opts.Socket(),
		CertsDir: certs, Network: c.Network, LogLevel: c.opts.LogLevel,
	})
	if err != nil {
		return err
	}
	c.undo = append(c.undo, c.Daemon.Stop)
	if c.CRI, err = c.Daemon.Dial(); err != nil {
		return err
	}
	c.undo = append(c.undo, c.CRI.Close)
	return nil
}

// Handlers lists the runtime handlers that the daemon says it has.
func (c *Cluster) Handlers(ctx context.Context) ([]string, error) {
	resp, err := c.CRI.Runtime.Status(ctx, &runtimeapi.StatusRequest{})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, h := range resp.GetRuntimeHandlers() {
		names = append(names, h.GetName())
	}
	return names, nil
}

// LogFile is what one of Kubernetes' programs printed.
func (c *Cluster) LogFile(program string) string {
	return filepath.Join(c.opts.Root, program+".log")
}

// Stop deletes every pod, as long as there is a kubelet to do it, ends every
// process, and removes what they leave.
func (c *Cluster) Stop(ctx context.Context) error {
	var errs []error
	if c.kubelet != nil {
		errs = append(errs, c.drain(ctx), c.StopKubelet())
	}
	if c.Daemon != nil && c.CRI != nil {
		errs = append(errs, c.CRI.RemoveAll(ctx))
	}
	for _, undo := range slices.Backward(c.undo) {
		errs = append(errs, undo())
	}
	errs = append(errs, unmountBelow(c.opts.Root), run("ip", "link", "delete", "node0"))
	return errors.Join(errs...)
}

// drain deletes all pods and what makes new ones, and waits until the runtime has no running sandbox.
func (c *Cluster) drain(ctx context.Context) error {
	namespaces, err := c.Client.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	static, err := filepath.Glob(filepath.Join(c.StaticPodDir(), "*"))
	if err != nil {
		return err
	}
	var errs []error
	for _, file := range static {
		errs = append(errs, os.Remove(file))
	}
	now, background := int64(0), metav1.DeletePropagationBackground
	opts := metav1.DeleteOptions{GracePeriodSeconds: &now, PropagationPolicy: &background}
	// Without their pods webhooks would keep others from being changed.
	errs = append(errs, c.Client.AdmissionregistrationV1().MutatingWebhookConfigurations().DeleteCollection(ctx, opts, metav1.ListOptions{}))
	for _, ns := range namespaces.Items {
		errs = append(errs,
			c.Client.AppsV1().Deployments(ns.Name).DeleteCollection(ctx, opts, metav1.ListOptions{}),
			c.Client.AppsV1().DaemonSets(ns.Name).DeleteCollection(ctx, opts, metav1.ListOptions{}),
			c.Client.AppsV1().ReplicaSets(ns.Name).DeleteCollection(ctx, opts, metav1.ListOptions{}),
			c.Client.BatchV1().Jobs(ns.Name).DeleteCollection(ctx, opts, metav1.ListOptions{}),
			c.Client.CoreV1().Pods(ns.Name).DeleteCollection(ctx, opts, metav1.ListOptions{}),
		)
	}
	errs = append(errs, c.await(ctx, "no pod is left", func(ctx context.Context) error {
		pods, err := c.Client.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
		if err != nil || len(pods.Items) > 0 {
			return errors.Join(err, fmt.Errorf("%d pods", len(pods.Items)))
		}
		list, err := c.CRI.Runtime.ListPodSandbox(ctx, &runtimeapi.ListPodSandboxRequest{
			Filter: &runtimeapi.PodSandboxFilter{State: &runtimeapi.PodSandboxStateValue{State: runtimeapi.PodSandboxState_SANDBOX_READY}},
		})
		if err != nil || len(list.GetItems()) > 0 {
			return errors.Join(err, fmt.Errorf("%d running sandboxes", len(list.GetItems())))
		}
		return nil
	}))
	return errors.Join(errs...)
}

// unmountBelow unmounts what kubelet leaves when it is stopped before its volumes are gone.
func unmountBelow(dir string) error {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return err
	}
	var errs []error
	for _, line := range slices.Backward(strings.Split(string(mounts), "\n")) {
		if fields := strings.Fields(line); len(fields) > 1 && strings.HasPrefix(fields[1], dir+"/") {
			errs = append(errs, wrap("unmount "+fields[1], unix.Unmount(fields[1], 0)))
		}
	}
	return errors.Join(errs...)
}

// errFinal is an error after which waiting is of no use.
type errFinal struct{ error }

// await waits until f succeeds; what it last said is the error otherwise.
func (c *Cluster) await(ctx context.Context, what string, f func(context.Context) error) error {
	for {
		err := f(ctx)
		var final errFinal
		if err == nil || errors.As(err, &final) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("in vain: %s: %w", what, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
