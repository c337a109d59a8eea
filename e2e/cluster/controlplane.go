package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Addresses within the cluster's network namespace.
const (
	NodeName   = "node"
	NodeIP     = "10.99.0.1"
	apiServer  = "https://" + NodeIP + ":6443"
	serviceIPs = "10.96.0.0/16"
	apiService = "10.96.0.1"          // of the Service "kubernetes"
	frontProxy = "front-proxy-client" // the API server's name where it passes requests on
)

// programs are the names by which build/bin/k8s is called.
var programs = []string{
	"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl",
}

// linkPrograms gives the program its names.
func (c *Cluster) linkPrograms(k8s string) error {
	if err := os.MkdirAll(c.program(""), 0o755); err != nil {
		return err
	}
	for _, name := range programs {
		if err := os.Symlink(k8s, c.program(name)); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) program(name string) string { return filepath.Join(c.opts.Root, "bin", name) }

// start runs one of Kubernetes' programs.
func (c *Cluster) start(name string, args ...string) (*process, error) {
	return startProcess(c.program(name), name, c.LogFile(name), args...)
}

// issue makes every certificate and kubeconfig.
func (c *Cluster) issue() error {
	var err error
	if c.ca, err = newAuthority(filepath.Join(c.opts.Root, "pki")); err != nil {
		return err
	}
	return errors.Join(
		c.ca.signingKey("service-accounts"),
		c.ca.issue("apiserver", "kube-apiserver", nil, "localhost", "127.0.0.1", NodeIP, apiService,
			"kubernetes", "kubernetes.default", "kubernetes.default.svc"),
		c.ca.issue("apiserver-kubelet", "kube-apiserver-kubelet-client", []string{"system:masters"}),
		c.ca.issue("front-proxy", frontProxy, nil),
		c.ca.issue("kubelet", "system:node:"+NodeName, []string{"system:nodes"}, NodeName, NodeIP),
		c.ca.kubeconfig(c.Kubeconfig, apiServer, "admin", "system:masters"),
		c.ca.kubeconfig(c.config("controller-manager"), apiServer, "system:kube-controller-manager"),
		c.ca.kubeconfig(c.config("scheduler"), apiServer, "system:kube-scheduler"),
		c.ca.kubeconfig(c.config("proxy"), apiServer, "system:kube-proxy"),
		c.ca.kubeconfig(c.config("kubelet"), apiServer, "system:node:"+NodeName, "system:nodes"),
	)
}

// config is the kubeconfig of a part.
func (c *Cluster) config(part string) string { return filepath.Join(c.opts.Root, part+".conf") }

// startControlPlane runs etcd, the API server, the controllers and the scheduler.
func (c *Cluster) startControlPlane(ctx context.Context) error {
	etcd, err := c.start("etcd",
		"--data-dir="+filepath.Join(c.opts.State, "etcd"), "--unsafe-no-fsync",
		"--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379",
		"--listen-peer-urls=http://127.0.0.1:2380", "--log-level=warn")
	if err != nil {
		return err
	}
	c.undo = append(c.undo, func() error { return etcd.stop(5 * time.Second) })
	api, err := c.start("kube-apiserver", c.apiServerFlags()...)
	if err != nil {
		return err
	}
	c.undo = append(c.undo, func() error { return api.stop(2 * time.Second) })
	if err := c.await(ctx, "the API server is ready", func(ctx context.Context) error {
		if err := errors.Join(etcd.ended(), api.ended()); err != nil {
			return errFinal{err}
		}
		_, err := c.Client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		return err
	}); err != nil {
		return err
	}
	controllers, err := c.start("kube-controller-manager",
		"--kubeconfig="+c.config("controller-manager"), "--leader-elect=false", "--use-service-account-credentials",
		"--root-ca-file="+c.ca.caFile(), "--service-account-private-key-file="+c.ca.keyFile("service-accounts"),
		"--controllers=*,-kube-apiserver-serving-clustertrustbundle-publisher-controller")
	if err != nil {
		return err
	}
	c.undo = append(c.undo, func() error { return controllers.stop(5 * time.Second) })
	scheduler, err := c.start("kube-scheduler", "--kubeconfig="+c.config("scheduler"), "--leader-elect=false")
	if err != nil {
		return err
	}
	c.undo = append(c.undo, func() error { return scheduler.stop(5 * time.Second) })
	return nil
}

func (c *Cluster) apiServerFlags() []string {
	return []string{
		"--etcd-servers=http://127.0.0.1:2379", "--secure-port=6443", "--advertise-address=" + NodeIP,
		"--tls-cert-file=" + c.ca.certFile("apiserver"), "--tls-private-key-file=" + c.ca.keyFile("apiserver"),
		"--client-ca-file=" + c.ca.caFile(),
		"--kubelet-certificate-authority=" + c.ca.caFile(),
		"--kubelet-client-certificate=" + c.ca.certFile("apiserver-kubelet"),
		"--kubelet-client-key=" + c.ca.keyFile("apiserver-kubelet"),
		"--kubelet-preferred-address-types=InternalIP",
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + c.ca.keyFile("service-accounts"),
		"--service-account-signing-key-file=" + c.ca.keyFile("service-accounts"),
		"--service-cluster-ip-range=" + serviceIPs,
		"--allow-privileged",
		// For APIs that pods serve.
		"--requestheader-client-ca-file=" + c.ca.caFile(), "--requestheader-allowed-names=" + frontProxy,
		"--requestheader-extra-headers-prefix=X-Remote-Extra-", "--requestheader-group-headers=X-Remote-Group",
		"--requestheader-username-headers=X-Remote-User",
		"--proxy-client-cert-file=" + c.ca.certFile("front-proxy"), "--proxy-client-key-file=" + c.ca.keyFile("front-proxy"),
		fmt.Sprintf("--cert-dir=%s", filepath.Join(c.opts.State, "apiserver")),
	}
}
