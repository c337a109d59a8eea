package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Settings of kubelet that tests wait for.
const (
	// LogMaxSize is when kubelet has a container's log rotated.
	LogMaxSize = 256 << 10
	// SyncFrequency bounds how long an updated configMap takes to reach a running pod.
	SyncFrequency = 2 * time.Second
)

// nodeInterface makes the node's address: one end of a veth pair has it, the other is only there for the carrier.
func nodeInterface() error {
	return errors.Join(
		run("ip", "link", "add", "node0", "type", "veth", "peer", "name", "node1"),
		run("ip", "link", "set", "node1", "up"),
		run("ip", "link", "set", "node0", "up"),
		run("ip", "addr", "add", NodeIP+"/24", "dev", "node0"),
		run("ip", "route", "add", "default", "via", "10.99.0.254"),
	)
}

// KubeletDir is kubelet's root.
func (c *Cluster) KubeletDir() string { return filepath.Join(c.opts.Root, "kubelet") }

// StaticPodDir is where kubelet reads static pods from.
func (c *Cluster) StaticPodDir() string { return filepath.Join(c.opts.Root, "static") }

func (c *Cluster) podLogs() string { return filepath.Join(c.opts.Root, "pods") }

// writeKubeletConfig writes kubelet's configuration. extra are lines of the test's own.
func (c *Cluster) writeKubeletConfig(extra ...string) error {
	resolv := filepath.Join(c.opts.Root, "resolv.conf")
	text := fmt.Sprintf(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: %q
cgroupDriver: cgroupfs
cgroupRoot: %q
cgroupsPerQOS: true
enforceNodeAllocatable: [pods]
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
maxOpenFiles: 20000
makeIPTablesUtilChains: false
podLogsDir: %q
staticPodPath: %q
fileCheckFrequency: 1s
syncFrequency: %s
nodeStatusUpdateFrequency: 2s
resolvConf: %q
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: %q}}
authorization: {mode: Webhook}
tlsCertFile: %q
tlsPrivateKeyFile: %q
featureGates: {PodAndContainerStatsFromCRI: true}
containerLogMaxSize: "%d"
containerLogMaxFiles: 3
containerLogMonitorInterval: 3s
imageGCHighThresholdPercent: 100
crashLoopBackOff: {maxContainerRestartPeriod: 2s}
evictionPressureTransitionPeriod: 1s
%s
`, "unix://"+c.opts.Socket(), c.cgroup, c.podLogs(), c.StaticPodDir(), SyncFrequency, resolv,
		c.ca.caFile(), c.ca.certFile("kubelet"), c.ca.keyFile("kubelet"), LogMaxSize, strings.Join(extra, "\n"))
	return errors.Join(
		os.MkdirAll(c.StaticPodDir(), 0o755),
		os.MkdirAll(c.podLogs(), 0o755),
		os.WriteFile(resolv, []byte("nameserver 10.96.0.10\n"), 0o644),
		os.WriteFile(c.kubeletConfig(), []byte(text), 0o644),
	)
}

func (c *Cluster) kubeletConfig() string { return filepath.Join(c.opts.Root, "kubelet.yaml") }

// lowEviction keeps a developer's full disk from evicting pods.
const lowEviction = `evictionHard: {memory.available: 50Mi, nodefs.available: 100Mi, imagefs.available: 100Mi, nodefs.inodesFree: "1"}`

// StartKubelet runs kubelet and waits until it says that the node is ready.
// extra are lines of its configuration; none: no eviction unless the disk is all but full.
func (c *Cluster) StartKubelet(ctx context.Context, extra ...string) error {
	if len(extra) == 0 {
		extra = []string{lowEviction}
	}
	if err := c.writeKubeletConfig(extra...); err != nil {
		return err
	}
	labels, err := c.nodeLabels(ctx)
	if err != nil {
		return err
	}
	started := time.Now()
	kubelet, err := c.start("kubelet",
		"--config="+c.kubeletConfig(), "--kubeconfig="+c.config("kubelet"), "--root-dir="+c.KubeletDir(),
		"--hostname-override="+NodeName, "--node-ip="+NodeIP, "--node-labels="+strings.Join(labels, ","), "--cert-dir="+filepath.Join(c.opts.State, "kubelet"))
	if err != nil {
		return err
	}
	c.kubelet = kubelet
	return c.await(ctx, "the node is ready", func(ctx context.Context) error {
		if err := kubelet.ended(); err != nil {
			return errFinal{err}
		}
		if _, err := c.Client.CoreV1().RESTClient().Get().Resource("nodes").Name(NodeName).SubResource("proxy").Suffix("healthz").DoRaw(ctx); err != nil {
			return err
		}
		node, err := c.Client.CoreV1().Nodes().Get(ctx, NodeName, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, cond := range node.Status.Conditions {
			if cond.Type == corev1.NodeReady && cond.Status == corev1.ConditionTrue && cond.LastHeartbeatTime.After(started) {
				return nil
			}
		}
		return fmt.Errorf("conditions %v", node.Status.Conditions)
	})
}

// nodeLabels are those by which RuntimeClasses find the nodes that have their
// handler, and the installer those that it is for.
func (c *Cluster) nodeLabels(ctx context.Context) ([]string, error) {
	handlers, err := c.Handlers(ctx)
	if err != nil {
		return nil, err
	}
	labels := []string{"paddock.dev/install=true"}
	for _, h := range handlers {
		if h != "" {
			labels = append(labels, "paddock.dev/"+h+"=true")
		}
	}
	return labels, nil
}

// StopKubelet ends kubelet; pods go on running.
func (c *Cluster) StopKubelet() error {
	p := c.kubelet
	c.kubelet = nil
	return p.stop(20 * time.Second)
}

// startProxy runs kube-proxy.
func (c *Cluster) startProxy() error {
	file := filepath.Join(c.opts.Root, "kube-proxy.yaml")
	text := fmt.Sprintf(`apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clientConnection: {kubeconfig: %q}
hostnameOverride: %s
clusterCIDR: %s
detectLocalMode: ClusterCIDR
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
`, c.config("proxy"), NodeName, c.Network.Subnet4)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return err
	}
	proxy, err := c.start("kube-proxy", "--config="+file)
	if err != nil {
		return err
	}
	c.undo = append(c.undo, func() error { return proxy.stop(5 * time.Second) })
	return nil
}
