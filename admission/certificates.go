package admission

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	admissionclient "k8s.io/client-go/kubernetes/typed/admissionregistration/v1"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/util/retry"
	"k8s.io/klog/v2"
)

// Keys of the Secret.
const (
	keyBundle = "ca.crt"
	keyCA     = "ca.key"
)

// Certificates keeps the webhook's certificates: replicas share them through a
// Secret, on which the API server lets one of two writers at once win.
type Certificates struct {
	Secrets   coreclient.SecretInterface
	Webhooks  admissionclient.MutatingWebhookConfigurationInterface
	Secret    string // its name
	Webhook   string // name of the MutatingWebhookConfiguration
	DNSNames  []string
	Lifetimes Lifetimes

	current atomic.Pointer[tls.Certificate]
}

// Run keeps certificates in time until ctx ends, looking at them every interval.
func (c *Certificates) Run(ctx context.Context, interval time.Duration) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(interval):
		}
		if err := c.Sync(ctx); err != nil && ctx.Err() == nil {
			klog.FromContext(ctx).Error(err, "Certificates are not up to date; the ones in use stay", "next", interval)
		}
	}
}

// Sync renews what has to be, uses it, and announces its CAs.
func (c *Certificates) Sync(ctx context.Context) error {
	var now chain
	err := retry.OnError(retry.DefaultRetry, isRace, func() (err error) {
		now, err = c.share(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("secret %s: %w", c.Secret, err)
	}
	// Announced first: nobody is to meet a certificate whose CA the API server lacks.
	err = retry.RetryOnConflict(retry.DefaultRetry, func() error { return c.announce(ctx, now.bundle) })
	if err != nil {
		err = fmt.Errorf("webhook configuration %s: %w", c.Webhook, err)
	}
	serving, bad := now.serving()
	if bad == nil {
		c.current.Store(serving)
	}
	return errors.Join(err, bad)
}

// isRace says that another replica was quicker.
func isRace(err error) bool { return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) }

// share reads the Secret, and writes it if it has to be renewed.
func (c *Certificates) share(ctx context.Context) (chain, error) {
	secret, err := c.Secrets.Get(ctx, c.Secret, metav1.GetOptions{})
	missing := apierrors.IsNotFound(err)
	if err != nil && !missing {
		return chain{}, err
	}
	if missing {
		secret = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: c.Secret}, Type: corev1.SecretTypeTLS}
	}
	d := secret.Data
	next, changed, err := chain{d[keyBundle], d[keyCA], d[corev1.TLSCertKey], d[corev1.TLSPrivateKeyKey]}.
		renew(time.Now(), c.Lifetimes, c.DNSNames)
	if err != nil || !changed {
		return next, err
	}
	secret.Data = map[string][]byte{
		keyBundle: next.bundle, keyCA: next.caKey, corev1.TLSCertKey: next.cert, corev1.TLSPrivateKeyKey: next.key,
	}
	if missing {
		_, err = c.Secrets.Create(ctx, secret, metav1.CreateOptions{})
	} else {
		_, err = c.Secrets.Update(ctx, secret, metav1.UpdateOptions{})
	}
	if err == nil {
		klog.FromContext(ctx).Info("Renewed certificates", "secret", c.Secret, "cas", len(parseAll(next.bundle)))
	}
	return next, err
}

// announce tells the API server which CAs to trust.
func (c *Certificates) announce(ctx context.Context, bundle []byte) error {
	cfg, err := c.Webhooks.Get(ctx, c.Webhook, metav1.GetOptions{})
	if err != nil {
		return err
	}
	changed := false
	for i := range cfg.Webhooks {
		if w := &cfg.Webhooks[i].ClientConfig; !bytes.Equal(w.CABundle, bundle) {
			w.CABundle, changed = bundle, true
		}
	}
	if !changed {
		return nil
	}
	_, err = c.Webhooks.Update(ctx, cfg, metav1.UpdateOptions{})
	return err
}

// TLS is a server's configuration that always has the certificate in use.
func (c *Certificates) TLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			if now := c.current.Load(); now != nil {
				return now, nil
			}
			return nil, errors.New("no certificate yet")
		},
	}
}
