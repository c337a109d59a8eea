package admission

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// skew is how far in the past certificates begin, for clocks that are behind.
const skew = 5 * time.Minute

// Lifetimes say when certificates are replaced: when two thirds of their life are over.
type Lifetimes struct {
	CA, Serving time.Duration
	// Settle is how long a new CA is announced before it signs.
	Settle time.Duration
}

// chain is what the Secret holds, all of it PEM.
type chain struct {
	bundle []byte // the CAs that may have signed what is in use, the newest first
	caKey  []byte // of the newest
	cert   []byte
	key    []byte
}

// renew returns the chain as it has to be at a time, and whether that is another
// one. A chain that cannot be read is replaced as a whole.
func (c chain) renew(now time.Time, life Lifetimes, dnsNames []string) (chain, bool, error) {
	cas := parseAll(c.bundle)
	if len(cas) == 0 || !keyFits(cas[0], c.caKey) || now.After(cas[0].NotAfter) {
		return newChain(now, life, dnsNames)
	}
	if old(now, cas[0]) {
		ca, key, err := newCA(now, life.CA)
		if err != nil {
			return c, false, err
		}
		c.caKey = key
		c.bundle = ca
		for _, prev := range cas {
			if now.Before(prev.NotAfter) {
				c.bundle = append(c.bundle, encode("CERTIFICATE", prev.Raw)...)
			}
		}
		// The certificate in use stays until the new CA is known everywhere.
		return c, true, nil
	}
	if c.inUse(now, life, cas, dnsNames) {
		return c, false, nil
	}
	next, err := c.sign(now, life.Serving, dnsNames)
	return next, true, err
}

// inUse tells whether the serving certificate may stay.
func (c chain) inUse(now time.Time, life Lifetimes, cas []*x509.Certificate, dnsNames []string) bool {
	list := parseAll(c.cert)
	if len(list) != 1 || !keyFits(list[0], c.key) || !signedByAny(list[0], cas) || !fits(list[0], dnsNames) || now.After(list[0].NotAfter) {
		return false
	}
	newest := cas[0]
	if list[0].CheckSignatureFrom(newest) == nil {
		return !old(now, list[0])
	}
	return now.Before(newest.NotBefore.Add(skew + life.Settle)) // not everybody knows the newest yet
}

func newChain(now time.Time, life Lifetimes, dnsNames []string) (chain, bool, error) {
	var c chain
	var err error
	if c.bundle, c.caKey, err = newCA(now, life.CA); err != nil {
		return c, false, err
	}
	c, err = c.sign(now, life.Serving, dnsNames)
	return c, true, err
}

// sign makes a serving certificate by the newest CA.
func (c chain) sign(now time.Time, life time.Duration, dnsNames []string) (chain, error) {
	pair, err := tls.X509KeyPair(firstBlock(c.bundle), c.caKey)
	if err != nil {
		return c, err
	}
	ca, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return c, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return c, err
	}
	template, err := newTemplate(now, life, dnsNames[0])
	if err != nil {
		return c, err
	}
	template.DNSNames = dnsNames
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, key.Public(), pair.PrivateKey)
	if err != nil {
		return c, err
	}
	c.cert = encode("CERTIFICATE", der)
	c.key, err = encodeKey(key)
	return c, err
}

func newCA(now time.Time, life time.Duration) (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template, err := newTemplate(now, life, fmt.Sprintf("paddock-webhook-ca-%d", now.Unix()))
	if err != nil {
		return nil, nil, err
	}
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return nil, nil, err
	}
	key, err = encodeKey(private)
	return encode("CERTIFICATE", der), key, err
}

func newTemplate(now time.Time, life time.Duration, name string) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-skew), NotAfter: now.Add(life), KeyUsage: x509.KeyUsageDigitalSignature,
	}, nil
}

// old tells whether two thirds of a certificate's life are over.
func old(now time.Time, c *x509.Certificate) bool {
	begin := c.NotBefore.Add(skew)
	return now.After(begin.Add(c.NotAfter.Sub(begin) * 2 / 3))
}

func keyFits(c *x509.Certificate, key []byte) bool {
	_, err := tls.X509KeyPair(encode("CERTIFICATE", c.Raw), key)
	return err == nil
}

func signedByAny(c *x509.Certificate, cas []*x509.Certificate) bool {
	for _, ca := range cas {
		if c.CheckSignatureFrom(ca) == nil {
			return true
		}
	}
	return false
}

func fits(c *x509.Certificate, dnsNames []string) bool {
	for _, name := range dnsNames {
		if c.VerifyHostname(name) != nil {
			return false
		}
	}
	return true
}

// parseAll reads the certificates of PEM text; none if any is broken.
func parseAll(text []byte) []*x509.Certificate {
	var list []*x509.Certificate
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return list
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil
		}
		list = append(list, cert)
	}
}

func firstBlock(text []byte) []byte {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil
	}
	return pem.EncodeToMemory(block)
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return encode("PRIVATE KEY", der), err
}

// serving is the certificate as TLS uses it.
func (c chain) serving() (*tls.Certificate, error) {
	pair, err := tls.X509KeyPair(c.cert, c.key)
	if err != nil {
		return nil, errors.Join(errors.New("the serving certificate does not fit its key"), err)
	}
	return &pair, nil
}
