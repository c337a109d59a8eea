// Command paddock-webhook is Paddock's admission webhook, in a cluster: see package admission.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	admissionclient "k8s.io/client-go/kubernetes/typed/admissionregistration/v1"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"github.com/paddock-run/paddock/admission"
)

type options struct {
	addr, namespace, service, secret, webhook string
	linuxClasses, windowsClasses              string
	lifetimes                                 admission.Lifetimes
	interval                                  time.Duration
}

func main() {
	var o options
	klog.InitFlags(nil)
	flag.StringVar(&o.addr, "listen", ":8443", "where reviews are answered")
	flag.StringVar(&o.namespace, "namespace", os.Getenv("POD_NAMESPACE"), "the namespace of the Service and the Secret")
	flag.StringVar(&o.service, "service", "paddock-webhook", "the Service by which the API server calls")
	flag.StringVar(&o.secret, "secret", "paddock-webhook-tls", "the Secret for certificates")
	flag.StringVar(&o.webhook, "webhook-configuration", "paddock-webhook", "the MutatingWebhookConfiguration that gets the CAs")
	flag.StringVar(&o.linuxClasses, "runtime-classes", "lcow", "the RuntimeClasses of Linux pods that Paddock runs, by commas")
	flag.StringVar(&o.windowsClasses, "windows-runtime-classes", "wcow", "the RuntimeClasses of Windows pods that Paddock runs, by commas")
	flag.DurationVar(&o.lifetimes.CA, "ca-lifetime", 365*24*time.Hour, "how long a CA is valid; replaced after two thirds of it")
	flag.DurationVar(&o.lifetimes.Serving, "certificate-lifetime", 30*24*time.Hour, "how long a certificate is valid; replaced after two thirds of it")
	flag.DurationVar(&o.lifetimes.Settle, "ca-settle", 10*time.Minute, "how long a new CA is announced before it signs")
	flag.DurationVar(&o.interval, "interval", time.Minute, "how often certificates are looked at")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "paddock-webhook:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	if o.namespace == "" {
		return errors.New("no namespace: set -namespace, or POD_NAMESPACE by the downward API")
	}
	certs, err := newCertificates(o)
	if err != nil {
		return err
	}
	if err := certs.Sync(ctx); err != nil {
		return err
	}
	go certs.Run(ctx, o.interval)
	server := &http.Server{
		Addr: o.addr, TLSConfig: certs.TLS(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second,
		// Longer than the API server keeps a connection (90 s): what it sends into one that is just closed here is a refused pod.
		IdleTimeout: 5 * time.Minute,
		Handler: admission.Handler(admission.Mutator{
			LinuxClasses: strings.Split(o.linuxClasses, ","), WindowsClasses: strings.Split(o.windowsClasses, ","),
		}),
	}
	served := make(chan error, 1)
	go func() { served <- server.ListenAndServeTLS("", "") }()
	klog.InfoS("Answering reviews", "address", o.addr, "linux", o.linuxClasses, "windows", o.windowsClasses)
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return server.Shutdown(end)
}

func newCertificates(o options) (*admission.Certificates, error) {
	cfg, err := rest.InClusterConfig()
	if err != nil {
		return nil, err
	}
	core, err := coreclient.NewForConfig(cfg)
	if err != nil {
		return nil, err
	}
	webhooks, err := admissionclient.NewForConfig(cfg)
	if err != nil {
		return nil, err
	}
	host := o.service + "." + o.namespace + ".svc"
	return &admission.Certificates{
		Secrets: core.Secrets(o.namespace), Webhooks: webhooks.MutatingWebhookConfigurations(),
		Secret: o.secret, Webhook: o.webhook, DNSNames: []string{host, host + ".cluster.local"}, Lifetimes: o.lifetimes,
	}, nil
}
