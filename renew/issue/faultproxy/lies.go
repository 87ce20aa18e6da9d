package faultproxy

import (
	"bytes"
	"crypto/x509"
	"net/url"
	"slices"
	"time"
)

// Lie is an answer that a CA may give to the download of a certificate and that
// nobody must serve.
type Lie struct {
	Name string
	tell func(m *mint) []byte
}

// Tell answers downloads of certificates with the lie, signed by the CA's own
// intermediate. The CA must have been started with acmetest.Options.RSA.
func (l Lie) Tell() Action {
	return Action{"lie: " + l.Name, func(c *call) {
		ans := c.forward()
		if c.Kind == Cert && ans.status < 300 {
			ans.body = l.tell(c.p.mint(c, ans.body))
		}
		c.send(ans)
	}}
}

// mint is ready to answer for the order that a certificate belongs to.
func (p *Proxy) mint(c *call, answer []byte) *mint {
	cert, key := p.ca.Intermediate()
	csr := p.atlas.request(c.order)
	if key == nil || csr == nil {
		panic("faultproxy: a lie needs a CA with RSA keys, and to have seen the finalize")
	}
	return &mint{cert: cert, key: key, csr: csr, now: time.Now(), true: answer, some: p.some}
}

func (p *Proxy) some() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rng.Uint64()
}

// Honest is no lie: what was ordered, minted as the lies are. That it is taken
// shows that they are refused for what they say.
func Honest() Lie {
	return Lie{"honest", func(m *mint) []byte { return chain(m.leaf(m.intermediate()), m.cert) }}
}

// Lies lists them all.
func Lies() []Lie {
	return slices.Concat(liesOfNames(), liesOfUse(), liesOfChains(), liesOfIssuers(), liesOfText())
}

// leafLie is a chain whose leaf has a change.
func leafLie(name string, changes func(m *mint) []change) Lie {
	return Lie{name, func(m *mint) []byte { return chain(m.leaf(m.intermediate(), changes(m)...), m.cert) }}
}

func always(changes ...change) func(*mint) []change {
	return func(*mint) []change { return changes }
}

func liesOfNames() []Lie {
	return []Lie{
		leafLie("wrong names", always(named("evil.example"))),
		leafLie("an extra name", func(m *mint) []change {
			return []change{named(append(slices.Clone(m.csr.DNSNames), "evil.example")...)}
		}),
		leafLie("a missing name", func(m *mint) []change { return []change{named(m.csr.DNSNames[1:]...)} }),
		leafLie("no names", always(named(), func(c *x509.Certificate) { c.Subject.CommonName = "a.example.com" })),
		leafLie("a wildcard instead", func(m *mint) []change { return []change{named("*.example.com")} }),
		leafLie("an extra address", always(withIP("127.0.0.1"))),
		leafLie("an extra mail address", always(func(c *x509.Certificate) { c.EmailAddresses = []string{"evil@example.com"} })),
		leafLie("an extra URI", always(func(c *x509.Certificate) {
			c.URIs = []*url.URL{{Scheme: "spiffe", Host: "evil.example", Path: "/x"}}
		})),
		leafLie("a name with a zero byte", func(m *mint) []change {
			return []change{named(append(slices.Clone(m.csr.DNSNames[1:]), m.csr.DNSNames[0]+"\x00.evil.example")...)}
		}),
	}
}

func liesOfUse() []Lie {
	return []Lie{
		{"another key", func(m *mint) []byte { return chain(m.leafFor(newKey().Public(), m.intermediate()), m.cert) }},
		{"a key of another kind", func(m *mint) []byte { return chain(m.leafFor(m.key.Public(), m.intermediate()), m.cert) }},
		leafLie("expired", func(m *mint) []change { return []change{valid(m.now.Add(-90*day), m.now.Add(-day))} }),
		leafLie("expired a second ago", func(m *mint) []change { return []change{valid(m.now.Add(-day), m.now.Add(-time.Second))} }),
		leafLie("valid from the day after tomorrow", func(m *mint) []change {
			return []change{valid(m.now.Add(2*day), m.now.Add(92*day))}
		}),
		leafLie("never valid", func(m *mint) []change { return []change{valid(m.now.Add(day), m.now.Add(-day))} }),
		leafLie("no extended key usage", always(usages())),
		leafLie("for clients only", always(usages(x509.ExtKeyUsageClientAuth))),
		leafLie("for code only", always(usages(x509.ExtKeyUsageCodeSigning))),
		leafLie("a CA", always(func(c *x509.Certificate) { c.IsCA = true; c.KeyUsage |= x509.KeyUsageCertSign })),
		leafLie("a key that may not sign", always(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment })),
		leafLie("signed with SHA-1", always(signedWith(x509.SHA1WithRSA))),
		leafLie("a precertificate", always(critical(1, 3, 6, 1, 4, 1, 11129, 2, 4, 3))),
		leafLie("an unknown critical extension", always(critical(1, 2, 3, 4))),
	}
}

func liesOfChains() []Lie {
	return []Lie{
		{"the leaf alone", func(m *mint) []byte { return chain(m.leaf(m.intermediate())) }},
		{"the intermediate alone", func(m *mint) []byte { return chain(m.cert) }},
		{"the leaf last", func(m *mint) []byte { return chain(m.cert, m.leaf(m.intermediate())) }},
		{"the leaf twice", func(m *mint) []byte { l := m.leaf(m.intermediate()); return chain(l, l, m.cert) }},
		{"the intermediate twice", func(m *mint) []byte { return chain(m.leaf(m.intermediate()), m.cert, m.cert) }},
		{"two leaves", func(m *mint) []byte { return chain(m.leaf(m.intermediate()), m.leaf(m.intermediate()), m.cert) }},
		{"another CA's intermediate", func(m *mint) []byte {
			return chain(m.leaf(m.intermediate()), m.below(issuer{}, newKey()).cert)
		}},
		{"an extra certificate at the end", func(m *mint) []byte {
			return chain(m.leaf(m.intermediate()), m.cert, m.below(issuer{}, newKey()).cert)
		}},
		{"a broken signature", func(m *mint) []byte {
			l := m.leaf(m.intermediate())
			l.Raw[len(l.Raw)-1] ^= 1
			return chain(l, m.cert)
		}},
		{"a signature of somebody by the intermediate's name", func(m *mint) []byte {
			key := newKey()
			forged := m.below(issuer{}, key, func(c *x509.Certificate) { c.Subject = m.cert.Subject })
			return chain(m.leaf(forged), m.cert)
		}},
		{"fifty certificates", func(m *mint) []byte {
			return bytes.Repeat(chain(m.leaf(m.intermediate()), m.cert), 25)
		}},
		{"self-signed", func(m *mint) []byte {
			own := m.below(issuer{}, newKey(), func(c *x509.Certificate) { c.IsCA = false; c.KeyUsage = 0 })
			return chain(own.cert)
		}},
	}
}

// issuerLie is a chain with an authority in it that has a change.
func issuerLie(name string, changes func(m *mint) []change) Lie {
	return Lie{name, func(m *mint) []byte {
		by := m.below(m.intermediate(), newKey(), changes(m)...)
		return chain(m.leaf(by), by.cert, m.cert)
	}}
}

func liesOfIssuers() []Lie {
	return []Lie{
		issuerLie("an issuer that is no CA", always(func(c *x509.Certificate) { c.IsCA = false; c.KeyUsage = x509.KeyUsageDigitalSignature })),
		issuerLie("an issuer that may not sign certificates", always(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign })),
		issuerLie("an issuer not for servers", always(usages(x509.ExtKeyUsageClientAuth))), // Let's Encrypt, 8 May 2026
		issuerLie("an expired issuer", func(m *mint) []change { return []change{valid(m.now.Add(-2*day), m.now.Add(-day))} }),
		issuerLie("an issuer of tomorrow", func(m *mint) []change { return []change{valid(m.now.Add(day), m.now.Add(100*day))} }),
		issuerLie("an issuer for other names", always(func(c *x509.Certificate) {
			c.PermittedDNSDomains, c.PermittedDNSDomainsCritical = []string{"other.example"}, true
		})),
		{"an issuer with a weak key", func(m *mint) []byte {
			by := m.below(m.intermediate(), weakKey())
			return chain(m.leaf(by), by.cert, m.cert)
		}},
		{"a path that is too long", func(m *mint) []byte {
			upper := m.below(m.intermediate(), newKey(), func(c *x509.Certificate) { c.MaxPathLenZero = true })
			lower := m.below(upper, newKey(), func(c *x509.Certificate) { c.Subject.CommonName = "Fault Proxy CA 2" })
			return chain(m.leaf(lower), lower.cert, upper.cert, m.cert)
		}},
		{"a root that nobody trusts", func(m *mint) []byte {
			root := m.below(issuer{}, newKey())
			return chain(m.leaf(root), root.cert)
		}},
	}
}

func liesOfText() []Lie {
	return []Lie{
		{"nothing", func(*mint) []byte { return nil }},
		{"a page", func(*mint) []byte { return []byte("<html><body>Your certificate is being prepared</body></html>") }},
		{"junk in PEM", func(*mint) []byte { return block("CERTIFICATE", []byte("junk")) }},
		{"half of it", func(m *mint) []byte { t := chain(m.leaf(m.intermediate()), m.cert); return t[:len(t)-40] }},
		{"a torn leaf", func(m *mint) []byte { return slices.Concat(m.true[:60], m.true[120:]) }},
		{"the request instead", func(m *mint) []byte { return block("CERTIFICATE REQUEST", m.csr.Raw) }},
		{"a key with it", func(m *mint) []byte {
			der, _ := x509.MarshalPKCS8PrivateKey(newKey())
			return slices.Concat(chain(m.leaf(m.intermediate()), m.cert), block("PRIVATE KEY", der))
		}},
		{"DER", func(m *mint) []byte { return m.leaf(m.intermediate()).Raw }},
		{"something after the leaf's DER", func(m *mint) []byte {
			return slices.Concat(block("CERTIFICATE", append(slices.Clone(m.leaf(m.intermediate()).Raw), 0)), chain(m.cert))
		}},
	}
}
