package probe

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"slices"
	"time"
)

// maxLinks bounds how far a chain is followed: signatures cost time, and a server
// may send hundreds of certificates.
const maxLinks = 16

// path follows the chain from the leaf to the last certificate sent whose issuer
// was not, whatever the order; what nobody needs is left out.
func path(chain []*x509.Certificate) []*x509.Certificate {
	linked := chain[:1:1]
	for len(linked) < maxLinks {
		last := linked[len(linked)-1]
		i := slices.IndexFunc(chain, func(c *x509.Certificate) bool {
			return !slices.ContainsFunc(linked, c.Equal) && bytes.Equal(c.RawSubject, last.RawIssuer) && last.CheckSignatureFrom(c) == nil
		})
		if selfIssued(last) || i < 0 {
			return linked
		}
		linked = append(linked, chain[i])
	}
	return linked
}

func selfIssued(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, c.RawIssuer) }

// ends is when clients stop taking what was sent: at the leaf's end, or at that
// of an intermediate that ends before it. Roots come from the client.
func ends(chain []*x509.Certificate) time.Time {
	end := chain[0].NotAfter
	for _, c := range path(chain)[1:] {
		if !selfIssued(c) && c.NotAfter.Before(end) {
			end = c.NotAfter
		}
	}
	return end
}

// oddities says what is unusual about a chain as it was sent: its order, its
// ends, what is missing and what is needless.
func oddities(chain []*x509.Certificate, now time.Time) []string {
	var odd []string
	linked := path(chain)
	last := linked[len(linked)-1]
	if len(linked) == 1 && !selfIssued(last) {
		odd = append(odd, "no intermediate: the certificate of "+printable(last.Issuer.String())+" was not sent")
	}
	if !inOrder(chain, linked) {
		// RFC 5246, section 7.4.2, wants each to certify the one before; RFC 8446,
		// section 4.4.2, has clients bear another order.
		odd = append(odd, "not in order: each certificate should be followed by that of its issuer")
	}
	for _, c := range linked[1:] {
		switch {
		case selfIssued(c):
			odd = append(odd, "the root was sent too, which no client needs")
		case now.After(c.NotAfter):
			odd = append(odd, fmt.Sprintf("the intermediate %s expired %s ago", subject(c), span(now.Sub(c.NotAfter))))
		case c.NotAfter.Before(chain[0].NotAfter):
			odd = append(odd, fmt.Sprintf("the intermediate %s ends before the leaf, in %s", subject(c), span(c.NotAfter.Sub(now))))
		}
	}
	for i, c := range chain {
		if !slices.ContainsFunc(linked, c.Equal) {
			odd = append(odd, fmt.Sprintf("certificate %d, %s, is not in the leaf's chain", i, subject(c)))
		}
	}
	return odd
}

// inOrder tells whether the linked certificates stand in the chain as they follow
// each other.
func inOrder(chain, linked []*x509.Certificate) bool {
	at := -1
	for _, c := range linked {
		i := slices.Index(chain, c)
		if i < at {
			return false
		}
		at = i
	}
	return true
}
