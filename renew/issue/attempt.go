package issue

import (
	"crypto"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-acme/lego/v4/acme/api"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/config"
	"github.com/certvigil/certvigil/renew/keypair"
	"github.com/certvigil/certvigil/renew/store"
)

// attempt is one call of Issue.
type attempt struct {
	c       *Client
	s       *session
	job     *job
	cert    renew.Cert
	held    renew.Version
	reason  renew.Reason
	solver  config.Solver
	profile string

	dir     *listing
	account store.Account
	core    *api.Core
}

// run obtains the certificate. Where an endpoint is gone that a cached directory
// named, it is done once more with a new directory.
func (a *attempt) run() (int, error) {
	if err := a.onHold(); err != nil {
		return 0, err
	}
	version, err := a.once()
	if p, ok := errors.AsType[*problem](err); ok && p.Status == http.StatusNotFound && a.s.directory.cached(directoryAge) == nil {
		return a.once()
	}
	return version, err
}

// once obtains the certificate. Where the CA has forgotten the account, it is
// registered again with its key, once.
func (a *attempt) once() (int, error) {
	var err error
	if a.dir, err = a.s.directory.get(a.job.ctx, a.s); err != nil {
		return 0, err
	}
	if err := a.s.checkClock(a.job.ctx); err != nil {
		return 0, err
	}
	if err := a.checkProfile(); err != nil {
		return 0, err
	}
	if err := a.signIn(""); err != nil {
		return 0, err
	}
	version, err := a.obtain()
	if p, ok := errors.AsType[*problem](err); !ok || !p.is(accountDoesNotExist) {
		return version, err
	}
	a.c.log.Warn("the CA does not know the account any more; registering again", "issuer", a.s.issuer.Name, "account", a.account.URL)
	if err := a.signIn(a.account.URL); err != nil {
		return 0, err
	}
	return a.obtain()
}

func (a *attempt) checkProfile() error {
	if a.profile == "" {
		return nil
	}
	if _, ok := a.dir.Meta.Profiles[a.profile]; ok {
		return nil
	}
	offered := slices.Sorted(maps.Keys(a.dir.Meta.Profiles))
	if len(offered) == 0 {
		return misconfigured("issuer %q offers no profiles, so not %q either", a.s.issuer.Name, a.profile)
	}
	return misconfigured("issuer %q has no profile %q; it offers %s", a.s.issuer.Name, a.profile, clean(strings.Join(offered, ", ")))
}

// obtain goes on with the order in flight where it fits, and otherwise, or where
// that order is dead, places one: at most one new order for each call.
func (a *attempt) obtain() (int, error) {
	o, found, err := a.inFlight()
	if err != nil {
		return 0, err
	}
	if found && o.URL != "" {
		version, err := a.resume(o)
		dead, isDead := errors.AsType[*deadOrder](a.judge(o, err))
		if !isDead {
			return version, err
		}
		if err := a.end(); err != nil {
			return 0, err
		}
		if dead.tried {
			return 0, dead.cause
		}
		a.c.log.Info("the order in flight can't be gone on with", "cert", a.cert.Name, "order", o.URL, "err", shown(dead.cause))
		found = false
	}
	if found { // the intent alone: its order's URL may have found no room on the disk
		o.CreatedAt = time.Now().UTC() // it is as old as its placing
		if err := a.c.books.BeginOrder(a.cert.Name, o); err != nil {
			return 0, local(fmt.Errorf("noting the order of %s: %w", a.cert.Name, err))
		}
	} else if o, err = a.begin(); err != nil {
		return 0, err
	}
	version, err := a.fresh(o)
	if dead, ok := errors.AsType[*deadOrder](err); ok {
		return 0, errors.Join(dead.cause, a.end())
	}
	return version, err
}

// inFlight returns the order that the books say is under way, where it is one
// for what the certificate is to be now. One that is not is dropped.
func (a *attempt) inFlight() (store.Order, bool, error) {
	o, found, err := a.c.books.Order(a.cert.Name)
	if err != nil {
		return o, false, local(fmt.Errorf("reading the order in flight of %s: %w", a.cert.Name, err))
	}
	if !found || a.fits(o) {
		return o, found, nil
	}
	return store.Order{}, false, a.end()
}

func (a *attempt) fits(o store.Order) bool {
	return o.Issuer == a.s.issuer.Name &&
		o.Directory == a.s.issuer.Directory &&
		o.Account == a.account.URL &&
		o.KeyType == a.cert.KeyType &&
		o.Profile == a.profile &&
		sameNames(o.Names, a.cert.Names) &&
		a.wholeKey(o) &&
		!a.committed(o)
}

func (a *attempt) wholeKey(o store.Order) bool {
	key, err := keypair.DecodeKey(o.Key)
	if err != nil || len(o.CSR) == 0 {
		return false
	}
	kind, err := keypair.TypeOf(key.Public())
	return err == nil && kind == o.KeyType
}

// committed tells that the order's certificate is the one held: then only the
// note that the order is over was lost, and to go on with it would bring the old
// certificate once more.
func (a *attempt) committed(o store.Order) bool {
	if a.held.N == 0 || o.URL == "" {
		return false
	}
	b, err := a.c.books.Read(a.cert.Name, a.held.N)
	return err == nil && b.Meta.Order == o.URL
}

func sameNames(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// begin makes key and CSR and writes the intent down.
func (a *attempt) begin() (store.Order, error) {
	key, encoded, err := a.key()
	if err != nil {
		return store.Order{}, err
	}
	csr, err := keypair.CSR(key, a.cert.Names)
	if err != nil {
		return store.Order{}, misconfigured("making the request of %s: %w", a.cert.Name, err)
	}
	o := store.Order{
		Issuer:    a.s.issuer.Name,
		Directory: a.s.issuer.Directory,
		Account:   a.account.URL,
		Names:     slices.Clone(a.cert.Names),
		KeyType:   a.cert.KeyType,
		Profile:   a.profile,
		Replaces:  a.replaces(),
		Reason:    a.reason,
		CreatedAt: time.Now().UTC(),
		Key:       encoded,
		CSR:       csr,
	}
	// Durable before the CA hears of it: after a crash the same key and CSR are
	// used, so the worst is one order that nobody finishes.
	if err := a.c.books.BeginOrder(a.cert.Name, o); err != nil {
		return o, local(fmt.Errorf("noting the order of %s: %w", a.cert.Name, err))
	}
	return o, nil
}

// key returns the key of the new certificate: that of the held one where it is
// to be reused, is of the right type, and its certificate was not revoked, as it
// is where the key got out; else a new one.
func (a *attempt) key() (crypto.Signer, []byte, error) {
	if a.cert.ReuseKey && a.reason != renew.IsRevoked && a.held.Usable() && a.held.KeyType == a.cert.KeyType {
		b, err := a.c.books.Read(a.cert.Name, a.held.N)
		if err != nil {
			return nil, nil, local(fmt.Errorf("reading the key to reuse of %s: %w", a.cert.Name, err))
		}
		key, err := keypair.DecodeKey(b.Key)
		if err != nil {
			return nil, nil, local(fmt.Errorf("reading the key to reuse of %s: %w", a.cert.Name, err))
		}
		return key, b.Key, nil
	}
	key, err := keypair.GenerateKey(a.cert.KeyType)
	if err != nil {
		return nil, nil, misconfigured("making the key of %s: %w", a.cert.Name, err)
	}
	encoded, err := keypair.EncodeKey(key)
	if err != nil {
		return nil, nil, local(err)
	}
	return key, encoded, nil
}

// replaces is the predecessor that the order names (RFC 9773, section 5): only
// to a CA that offers renewal information, only of the same account there, and
// only while the certificate is not over.
func (a *attempt) replaces() string {
	h := a.held
	if a.dir.ari == "" || h.CertID == "" || h.Directory != a.s.issuer.Directory || h.Account != a.account.URL {
		return ""
	}
	if !time.Now().Before(h.NotAfter) || !certIDs.MatchString(h.CertID) {
		return ""
	}
	return h.CertID
}

// end notes that no order is in flight.
func (a *attempt) end() error {
	if err := a.c.books.EndOrder(a.cert.Name); err != nil {
		return local(fmt.Errorf("noting the end of the order of %s: %w", a.cert.Name, err))
	}
	return nil
}
