package faultproxy

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// Kind is what a call is made to.
type Kind string

// The kinds of endpoints and objects (RFC 8555, section 7.1; RFC 9773).
const (
	Directory   Kind = "directory"
	NewNonce    Kind = "new-nonce"
	NewAccount  Kind = "new-account"
	NewOrder    Kind = "new-order"
	Account     Kind = "account"
	Order       Kind = "order"
	Authz       Kind = "authz"
	Challenge   Kind = "challenge"
	Finalize    Kind = "finalize"
	Cert        Kind = "cert"
	RenewalInfo Kind = "renewal-info"
	Revoke      Kind = "revoke"
	KeyChange   Kind = "key-change"
	Other       Kind = "other"
)

// Issuing lists the kinds that a first certificate is obtained through, in order.
func Issuing() []Kind {
	return []Kind{Directory, NewNonce, NewAccount, NewOrder, Authz, Challenge, Finalize, Order, Cert}
}

// object is what is known of one URL of the CA's.
type object struct {
	kind    Kind
	account string
	names   []string
	order   string // the path of the order that it belongs to
}

// atlas maps the CA's URLs, by their paths. It is drawn from the CA's own answers,
// so that it holds for any CA.
type atlas struct {
	mu      sync.Mutex
	at      map[string]object
	renewal string                              // path before the CertIDs
	certs   map[string][]string                 // names by CertID
	asked   map[string]*x509.CertificateRequest // by the order's path
}

func newAtlas() *atlas {
	return &atlas{at: make(map[string]object), certs: make(map[string][]string), asked: make(map[string]*x509.CertificateRequest)}
}

func pathOf(link string) string {
	u, err := url.Parse(link)
	if err != nil {
		return link
	}
	return u.Path
}

// directory learns the endpoints.
func (a *atlas) directory(path string, body []byte) {
	var dir map[string]any
	_ = json.Unmarshal(body, &dir)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at[path] = object{kind: Directory}
	for field, kind := range map[string]Kind{
		"newNonce": NewNonce, "newAccount": NewAccount, "newOrder": NewOrder, "revokeCert": Revoke, "keyChange": KeyChange,
	} {
		if link, ok := dir[field].(string); ok {
			a.at[pathOf(link)] = object{kind: kind}
		}
	}
	if link, ok := dir["renewalInfo"].(string); ok {
		a.renewal = strings.TrimSuffix(pathOf(link), "/") + "/"
	}
}

// find returns what is known of a path.
func (a *atlas) find(path string) object {
	a.mu.Lock()
	defer a.mu.Unlock()
	if o, ok := a.at[path]; ok {
		return o
	}
	if id, ok := strings.CutPrefix(path, a.renewal); ok && a.renewal != "" {
		return object{kind: RenewalInfo, names: a.certs[id]}
	}
	return object{kind: Other}
}

// request returns what the order was finalized with.
func (a *atlas) request(order string) *x509.CertificateRequest {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked[order]
}

// issued returns the names of the certificate with that CertID.
func (a *atlas) issued(certID string) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.certs[certID]
}

// resource is what orders, authorizations and requests for an order have in
// common with what is learnt from them.
type resource struct {
	Status         string
	Identifiers    []identifier
	Identifier     identifier
	Authorizations []string
	Finalize       string
	Certificate    string
	Challenges     []struct{ URL string }
	Replaces       string
}

type identifier struct{ Value string }

func (r resource) names() []string {
	var names []string
	for _, id := range r.Identifiers {
		names = append(names, id.Value)
	}
	return names
}

// learn draws in what a true answer names.
func (a *atlas) learn(c *call, ans *answer) {
	if ans.status >= 300 {
		return
	}
	if c.Kind == Cert {
		a.learnCert(ans.body, c.Names)
		return
	}
	var r resource
	if json.Unmarshal(ans.body, &r) != nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	o := object{account: c.Account, names: c.Names, order: c.order}
	if c.Kind == Finalize {
		a.asked[c.order] = requestIn(c.body)
	}
	switch c.Kind {
	case NewAccount:
		a.at[pathOf(ans.header.Get("Location"))] = object{kind: Account, account: ans.header.Get("Location")}
	case NewOrder:
		o.order = pathOf(ans.header.Get("Location"))
		a.draw(Order, o, o.order)
		fallthrough
	case Order, Finalize:
		a.draw(Authz, o, r.Authorizations...)
		a.draw(Finalize, o, r.Finalize)
		a.draw(Cert, o, r.Certificate)
	case Authz:
		o.names = []string{r.Identifier.Value}
		known := a.at[c.object]
		known.names = o.names
		a.at[c.object] = known
		for _, ch := range r.Challenges {
			a.draw(Challenge, o, ch.URL)
		}
	}
}

// draw adds URLs that are not known yet. The lock is held.
func (a *atlas) draw(kind Kind, o object, links ...string) {
	o.kind = kind
	for _, link := range links {
		path := pathOf(link)
		if _, known := a.at[path]; !known && path != "" {
			a.at[path] = o
		}
	}
}

// learnCert notes whose certificate bears which CertID (RFC 9773, section 4.1).
func (a *atlas) learnCert(body []byte, names []string) {
	block, _ := pem.Decode(body)
	if block == nil {
		return
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return
	}
	serial := leaf.SerialNumber.Bytes()
	if len(serial) > 0 && serial[0] > 0x7f { // DER: a positive integer
		serial = slices.Insert(serial, 0, 0)
	}
	text := base64.RawURLEncoding.EncodeToString
	a.mu.Lock()
	defer a.mu.Unlock()
	a.certs[text(leaf.AuthorityKeyId)+"."+text(serial)] = names
}

// good tells whether an answer is one that Replay can repeat.
func (a *answer) good() bool { return a.status < http.StatusBadRequest }
