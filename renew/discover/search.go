package discover

import (
	"context"
	"crypto/x509"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/keypair"
	"github.com/certvigil/certvigil/renew/probe"
)

// Query says what to search for.
type Query struct {
	Cert     renew.Cert
	Held     renew.Version   // the newest, which servers are to show
	Versions []renew.Version // all that are known
	Leaf     []byte          // of the held version, PEM
	Files    []string        // where the held version lies for servers to read
	Age      time.Duration   // how old a list of the listeners may be
}

// mostNames bounds for how many names of a certificate one listener is asked.
const mostNames = 100

// Search asks every listener that speaks TLS for the names of the certificate.
func (s *Scout) Search(ctx context.Context, q Query) renew.Search {
	wanted, err := q.wanted()
	if err != nil {
		return renew.Search{Cut: true, Blind: []string{err.Error()}}
	}
	all, blind, cut := s.listed(ctx, q.Age)
	found := renew.Search{Blind: slices.Clone(blind), Cut: cut}
	names := slices.DeleteFunc(slices.Clone(q.Cert.Names), func(n string) bool { return slices.Contains(renew.LeftOut(&q.Cert, q.Held), n) })
	if len(names) > mostNames {
		names = names[:mostNames]
	}
	var mu sync.Mutex // guards found
	begun := each(ctx, len(all), func(i int) {
		l := all[i]
		if l.tls != yes {
			return
		}
		for _, name := range names { // one after the other: mail servers count connections
			p, ok := wanted.look(ctx, l, name)
			if !ok {
				continue
			}
			mu.Lock()
			found.Places = append(found.Places, p)
			mu.Unlock()
		}
	})
	found.Cut = found.Cut || !begun || ctx.Err() != nil
	return found
}

// wanted is what is compared with what servers show.
type wanted struct {
	Query
	leaf *x509.Certificate
}

func (q Query) wanted() (wanted, error) {
	certs, err := keypair.DecodeCertificates(q.Leaf)
	if err != nil {
		return wanted{}, err
	}
	return wanted{q, certs[0]}, nil
}

// look asks l for one name. It answers false where that shows no version.
func (w wanted) look(ctx context.Context, l listener, name string) (renew.Place, bool) {
	e := l.endpoint()
	seen, err := prober(e.Protocol).Look(ctx, e, name)
	if err != nil {
		return renew.Place{}, false
	}
	end, older, ok := w.judge(seen)
	if !ok {
		return renew.Place{}, false
	}
	p := renew.Place{
		Address: e.Address, Name: name, Protocol: e.Protocol, ProxyProtocol: e.ProxyProtocol, Process: l.process,
		Fingerprint: end.Fingerprint, NotAfter: end.NotAfter, Older: older,
	}
	if files := l.files(name); len(files) > 0 {
		p.File, p.Ours = plain(files[0]), false
		for _, f := range files {
			if w.ours(f) {
				p.File, p.Ours = plain(f), true
			}
		}
		// One of several may be another certificate's: what is known is that one of
		// them is ours, or nothing.
		if !p.Ours && len(files) > 1 {
			p.File = ""
		}
	}
	return p, true
}

// ours tells whether a server that reads file reads what is renewed.
func (w wanted) ours(file string) bool {
	is, err := os.Stat(file)
	return slices.ContainsFunc(w.Files, func(f string) bool {
		if f == file {
			return true
		}
		fi, other := os.Stat(f)
		return err == nil && other == nil && os.SameFile(is, fi)
	})
}

// judge tells which version was shown, the newest where a server has two kinds of
// key: its leaf, with the end of the chain.
func (w wanted) judge(seen probe.Seen) (leaf probe.Link, older, ok bool) {
	for s := &seen; s != nil; s = s.Also {
		shown := s.Chain[0]
		before, is := w.version(shown)
		if !is || ok && before {
			continue
		}
		leaf, older, ok = shown, before, true
		for _, link := range s.Chain[1:] {
			if link.NotAfter.Before(leaf.NotAfter) {
				leaf.NotAfter = link.NotAfter
			}
		}
	}
	return leaf, older, ok
}

// version tells whether a leaf is one of the certificate's: by its fingerprint, or,
// where it is too old to be known, by its names and its CA. Older is one before
// the held version.
func (w wanted) version(leaf probe.Link) (older, ok bool) {
	if leaf.Fingerprint == w.Held.Fingerprint {
		return false, true
	}
	for _, v := range w.Versions {
		if v.Fingerprint == leaf.Fingerprint {
			return v.N < w.Held.N, true
		}
	}
	return true, leaf.NotBefore.Before(w.Held.NotBefore) && w.sameNames(leaf) && w.sameCA(leaf)
}

func (w wanted) sameNames(leaf probe.Link) bool {
	var names []string
	for _, n := range leaf.Names {
		names = append(names, strings.ToLower(n))
	}
	slices.Sort(names)
	return slices.Equal(names, w.Held.Names)
}

// sameCA compares the organization: CAs change the names of their intermediates.
func (w wanted) sameCA(leaf probe.Link) bool {
	if org := w.leaf.Issuer.Organization; len(org) > 0 {
		return slices.Equal(leaf.IssuerOrganization, org)
	}
	return leaf.Issuer == w.leaf.Issuer.String()
}
