package faultproxy_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/issue/acmetest"
	"github.com/certvigil/certvigil/renew/issue/faultproxy"
	"github.com/certvigil/certvigil/renew/keypair"
)

// reasons is why each lie must be refused: for what is wrong with it, and not for
// something else that happens to be.
var reasons = map[string]string{
	"wrong names":             keypair.WrongNames,
	"an extra name":           keypair.WrongNames,
	"a missing name":          keypair.WrongNames,
	"no names":                keypair.WrongNames,
	"a wildcard instead":      keypair.WrongNames,
	"an extra address":        keypair.WrongNames,
	"an extra mail address":   keypair.WrongNames,
	"an extra URI":            keypair.WrongNames,
	"a name with a zero byte": keypair.WrongNames,

	"another key":                       keypair.OtherKey,
	"a key of another kind":             keypair.OtherKey,
	"expired":                           keypair.LeafExpired,
	"expired a second ago":              keypair.LeafExpired,
	"valid from the day after tomorrow": keypair.LeafNotYetValid,
	"never valid":                       keypair.LeafNotYetValid,
	"no extended key usage":             keypair.LeafUsage,
	"for clients only":                  keypair.LeafUsage,
	"for code only":                     keypair.LeafUsage,
	"a CA":                              keypair.LeafIsCA,
	"a key that may not sign":           keypair.LeafUsage,
	"signed with SHA-1":                 keypair.WeakSignature,
	"a precertificate":                  keypair.CriticalExtension,
	"an unknown critical extension":     keypair.CriticalExtension,

	"the leaf alone":                  keypair.UntrustedRoot,
	"the intermediate alone":          keypair.OtherKey,
	"the leaf last":                   keypair.LeafNotFirst,
	"the leaf twice":                  keypair.Duplicate,
	"the intermediate twice":          keypair.Duplicate,
	"two leaves":                      keypair.BrokenChain,
	"another CA's intermediate":       keypair.BrokenChain,
	"an extra certificate at the end": keypair.BrokenChain,
	"a broken signature":              keypair.BrokenChain,
	"a signature of somebody by the intermediate's name": keypair.BrokenChain,
	"fifty certificates": keypair.NotPEM,
	"self-signed":        keypair.OtherKey,

	"an issuer that is no CA":                  keypair.IssuerNotCA,
	"an issuer that may not sign certificates": keypair.IssuerUsage,
	"an issuer not for servers":                keypair.IssuerUsage,
	"an expired issuer":                        keypair.IssuerExpired,
	"an issuer of tomorrow":                    keypair.IssuerNotYetValid,
	"an issuer for other names":                keypair.InvalidChain,
	"an issuer with a weak key":                keypair.BadKeySize,
	"a path that is too long":                  keypair.InvalidChain,
	"a root that nobody trusts":                keypair.UntrustedRoot,

	"nothing":                        keypair.NoCertificate,
	"a page":                         keypair.NoCertificate,
	"junk in PEM":                    keypair.Unparsable,
	"half of it":                     keypair.NotPEM,
	"a torn leaf":                    keypair.NotPEM,
	"the request instead":            keypair.NotPEM,
	"a key with it":                  keypair.NotPEM,
	"DER":                            keypair.NoCertificate,
	"something after the leaf's DER": keypair.Unparsable,
}

// Whatever a CA signs: what was not ordered, or what no client would take, becomes
// no version, and so can't be deployed. The order that brought it is over, and the
// next one is taken.
func TestNoLieBecomesAVersion(t *testing.T) {
	w := newTown(t, acmetest.Options{RSA: true})
	lies := faultproxy.Lies()
	if n := len(lies); n < 30 || n != len(reasons) {
		t.Errorf("%d lies, and reasons to refuse %d", n, len(reasons))
	}
	var told atomic.Int64
	side(8, len(lies), func(i int) {
		p := w.proxy(faultproxy.Options{Seed: uint64(i)})
		h := w.host(p)
		h.public = true
		h.start()
		if _, known := reasons[lies[i].Name]; !known {
			t.Errorf("%s: it is not said why it is to be refused", lies[i].Name)
		}
		for round := range *rounds {
			told.Add(1)
			if err := refused(h, lies[i]); err != nil {
				t.Errorf("%s, round %d: %v", lies[i].Name, round, err)
				return
			}
		}
		p.Set()
		if _, err := h.issued(h.cert("www", "a.example.com", "b.example.com"), renew.Version{}, 1); err != nil {
			t.Errorf("after %s: %v", lies[i].Name, err)
		}
		if n := h.held("www"); n != 1 {
			t.Errorf("after %s: %d versions", lies[i].Name, n)
		}
		if n := p.History().Orders(""); n != *rounds+1 {
			t.Errorf("%s: %d orders for %d attempts", lies[i].Name, n, *rounds+1)
		}
		h.stop()
	})
	t.Logf("%d lies of %d kinds were told, and none became a version", told.Load(), len(lies))
}

// refused has a lie told once, and checks that nothing comes of it.
func refused(h *host, lie faultproxy.Lie) error {
	h.proxy.Set(faultproxy.Rule{Kind: faultproxy.Cert, Do: lie.Tell()})
	cert := h.cert("www", "a.example.com", "b.example.com")
	f, err := failure(h.issue(h.t.Context(), cert, renew.Version{}))
	if err != nil {
		return err
	}
	why := reasons[lie.Name]
	if refusal, ok := errors.AsType[*keypair.Refusal](f); !ok || refusal.Reason != why || f.Class != renew.Refused {
		return fmt.Errorf("%s, not for %q: %w", f.Class, why, f)
	}
	if n := h.held("www"); n != 0 {
		return fmt.Errorf("there are %d versions", n)
	}
	if _, inFlight, _ := h.store.Order("www"); inFlight {
		return fmt.Errorf("its order stays in flight")
	}
	return nil
}

// That what the proxy signs is taken where it is the truth shows that the lies are
// refused for what they say.
func TestTheTruthIsTaken(t *testing.T) {
	w := newTown(t, acmetest.Options{RSA: true})
	p := w.proxy(faultproxy.Options{Rules: []faultproxy.Rule{{Kind: faultproxy.Cert, Do: faultproxy.Honest().Tell()}}})
	h := w.host(p)
	h.public = true
	if _, err := h.issued(h.cert("www", "a.example.com", "b.example.com"), renew.Version{}, 1); err != nil {
		t.Error(err)
	}
	h.stop()
	if n := len(p.History()); p.History()[n-1].Verdict != "lie: honest" {
		t.Errorf("the last call was %+v", p.History()[n-1])
	}
}
