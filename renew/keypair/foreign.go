package keypair

import (
	"errors"
	"fmt"
	"slices"

	"github.com/certvigil/certvigil/renew"
)

// Foreign judges a pair that someone else put in place, PEM, as [Accept] judges
// what a CA answers: fit for a TLS server, valid now, whole up to a root that is
// trusted, whoever the CA is. Its names need not be those of want to the letter,
// but clients must take it for each of them. KeyType and PublicCA of want do not
// count.
//
// pair is what could be read of it, also beside an error.
func Foreign(key, fullchain []byte, want Want) (accepted Accepted, pair Pair, err error) {
	pair, err = Parse(key, fullchain)
	if err != nil {
		return Accepted{}, pair, err
	}
	if !renew.Covers(pair.Names, normal(want.Names)) {
		return Accepted{}, pair, fmt.Errorf("it is not for %q", missing(pair.Names, want.Names))
	}
	signer, err := DecodeKey(key)
	if err != nil {
		return Accepted{}, pair, err
	}
	want.Names, want.KeyType, want.PublicCA = pair.Names, "", true
	accepted, err = Accept(fullchain, signer, want)
	if r, ok := errors.AsType[*Refusal](err); ok {
		err = errors.New(r.Detail)
	}
	return accepted, pair, err
}

// missing is the first of the names that have does not cover.
func missing(have, want []string) string {
	i := slices.IndexFunc(want, func(n string) bool { return !renew.Covers(have, []string{n}) })
	return want[max(i, 0)]
}
