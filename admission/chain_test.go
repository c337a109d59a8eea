package admission

import (
	"bytes"
	"crypto/x509"
	"testing"
	"time"
)

var (
	life = Lifetimes{CA: 90 * time.Hour, Serving: 30 * time.Hour, Settle: time.Hour}
	name = []string{"hook.ns.svc"}
)

// trusted tells whether a client that knows a bundle accepts a chain's certificate at a time.
func trusted(t *testing.T, bundle []byte, c chain, now time.Time) bool {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(bundle) {
		t.Fatal("no CA in the bundle")
	}
	certs := parseAll(c.cert)
	if len(certs) != 1 {
		t.Fatal("no certificate")
	}
	_, err := certs[0].Verify(x509.VerifyOptions{DNSName: name[0], Roots: pool, CurrentTime: now})
	return err == nil
}

// TestRotation goes through many lifetimes in steps: at no time does a client
// whose bundle is as old as a new CA's time to settle meet a certificate that it cannot check.
func TestRotation(t *testing.T) {
	now := time.Now()
	c, changed, err := chain{}.renew(now, life, name)
	if err != nil || !changed {
		t.Fatalf("first: changed %t, %v", changed, err)
	}
	const step = 30 * time.Minute // half of Settle
	lagging := c.bundle           // what a client knew a step ago
	cas, certs := 0, 0
	for range 800 {
		now = now.Add(step)
		next, changed, err := c.renew(now, life, name)
		if err != nil {
			t.Fatal(err)
		}
		if changed != (string(next.bundle) != string(c.bundle) || string(next.cert) != string(c.cert)) {
			t.Fatalf("%v: changed is %t", now, changed)
		}
		if !trusted(t, lagging, next, now) || !trusted(t, next.bundle, next, now) {
			t.Fatalf("%v: a certificate that a client does not know", now)
		}
		if !bytes.Equal(next.caKey, c.caKey) {
			cas++
			if !bytes.Equal(next.cert, c.cert) {
				t.Error("a CA signed before it was announced")
			}
		}
		if !bytes.Equal(next.cert, c.cert) {
			certs++
		}
		lagging, c = c.bundle, next
	}
	// 400 hours, CAs for 60 of them, certificates for 20.
	if cas < 5 || cas > 8 || certs < 18 || certs > 30 {
		t.Errorf("%d CAs, %d certificates in %v", cas, certs, 800*step)
	}
	if n := len(parseAll(c.bundle)); n > 3 {
		t.Errorf("%d CAs are announced, expired ones among them", n)
	}
}

func TestBrokenChainsAreReplaced(t *testing.T) {
	now := time.Now()
	good, _, err := chain{}.renew(now, life, name)
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := chain{}.renew(now, life, []string{"other"})
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]chain{
		"no bundle":         {nil, good.caKey, good.cert, good.key},
		"another CA's key":  {good.bundle, other.caKey, good.cert, good.key},
		"another CA's cert": {good.bundle, good.caKey, other.cert, other.key},
		"another's key":     {good.bundle, good.caKey, good.cert, other.key},
		"no certificate":    {good.bundle, good.caKey, nil, nil},
		"rubbish":           {[]byte("x"), []byte("y"), []byte("z"), nil},
	} {
		next, changed, err := c.renew(now, life, name)
		if err != nil || !changed || !trusted(t, next.bundle, next, now) {
			t.Errorf("%s: changed %t, %v", what, changed, err)
		}
	}
	if _, changed, err := good.renew(now, life, name); changed || err != nil {
		t.Errorf("a good one is changed: %t, %v", changed, err)
	}
	if next, changed, _ := good.renew(now.Add(1000*time.Hour), life, name); !changed || !trusted(t, next.bundle, next, now.Add(1000*time.Hour)) {
		t.Error("an expired one is not replaced")
	}
	if next, changed, _ := good.renew(now, life, []string{"new.ns.svc"}); !changed || bytes.Equal(next.cert, good.cert) {
		t.Error("another name gets no new certificate")
	}
}
