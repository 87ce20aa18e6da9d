package issue

import (
	"crypto"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-acme/lego/v4/acme"
	"github.com/go-acme/lego/v4/acme/api"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/config"
	"github.com/certvigil/certvigil/renew/keypair"
	"github.com/certvigil/certvigil/renew/store"
)

// The shortest key of HS256 (RFC 7518, section 3.2), in bytes.
const minHMACKey = 32

// signIn makes the attempt able to sign: it looks the account up in the books,
// and at the CA where the books have a key but no URL, and registers it where
// the CA has none.
//
// stale is an account URL that the CA does not know any more; empty without.
func (a *attempt) signIn(stale string) error {
	// One at a time: two orders that start together must not both register.
	if err := lock(a.job.ctx, a.s.account); err != nil {
		return err
	}
	defer func() { <-a.s.account }()

	account, made, err := a.c.accountKey(a.s)
	if err != nil {
		return err
	}
	key, err := keypair.DecodeKey(account.Key)
	if err != nil {
		return local(fmt.Errorf("reading the account key of issuer %q: %w", a.s.issuer.Name, err))
	}
	if stale != "" && account.URL == stale {
		account.URL = ""
		made = true // the CA has just said that it knows no account of this key
	}
	if account.URL == "" {
		account, err = a.register(account, key, made)
	} else {
		account = a.updateContact(account, key)
	}
	if err != nil {
		return err
	}
	a.account = account
	a.core, err = a.job.core(account.URL, key)
	return err
}

// accountKey returns the account as the books have it, with a new key where they
// have none. made tells that the CA can't know the key yet.
func (c *Client) accountKey(s *session) (account store.Account, made bool, err error) {
	directory, eab := s.issuer.Directory, s.issuer.EAB.KeyID
	account, found, err := c.books.Account(directory, eab)
	if err != nil {
		return account, false, local(fmt.Errorf("looking up the account of issuer %q: %w", s.issuer.Name, err))
	}
	if found {
		return account, false, nil
	}
	signer, err := keypair.GenerateKey(renew.EC256)
	if err != nil {
		return account, false, local(err)
	}
	encoded, err := keypair.EncodeKey(signer)
	if err != nil {
		return account, false, local(err)
	}
	// The key is durable before the CA hears of it: were power to fail between
	// the two the other way round, the account would be lost, and with it what
	// exempts renewals from the CA's limits.
	account = store.Account{Directory: directory, EABKeyID: eab, Key: encoded}
	if err := c.books.SaveAccount(account); err != nil {
		// Another Client of this process may have been faster; its key stays.
		if theirs, found, lookErr := c.books.Account(directory, eab); lookErr == nil && found {
			return theirs, false, nil
		}
		return account, false, local(fmt.Errorf("keeping the account key of issuer %q: %w", s.issuer.Name, err))
	}
	return account, true, nil
}

// register finds the account of key at the CA, or creates it, and notes its URL.
func (a *attempt) register(account store.Account, key crypto.Signer, made bool) (store.Account, error) {
	var location string
	if !made {
		found, err := a.lookUp(key)
		if err != nil {
			return account, err
		}
		location, account.Contact = found, nil // the next order sees to the contacts
	}
	if location == "" {
		created, err := a.create(key)
		if err != nil {
			return account, fmt.Errorf("registering at issuer %q: %w", a.s.issuer.Name, err)
		}
		location, account.Contact = created, slices.Clone(a.s.issuer.Contact)
		account.Terms = clean(a.dir.Meta.TermsOfService)
	}
	if err := a.s.sameOrigin(location); err != nil {
		return account, err
	}
	account.URL = location
	if err := a.c.books.SaveAccount(account); err != nil {
		return account, local(fmt.Errorf("keeping the account of issuer %q: %w", a.s.issuer.Name, err))
	}
	a.c.log.Info("account registered", "issuer", a.s.issuer.Name, "account", account.URL)
	return account, nil
}

// lookUp asks for the account of key (RFC 8555, section 7.3.1): the URL is lost
// where the books were restored from their key alone. Empty means none.
func (a *attempt) lookUp(key crypto.Signer) (string, error) {
	core, err := a.job.core("", key)
	if err != nil {
		return "", err
	}
	found, err := call(a.job, func() (acme.ExtendedAccount, error) {
		return core.Accounts.New(acme.Account{OnlyReturnExisting: true})
	})
	if p, ok := errors.AsType[*problem](err); ok && p.is(accountDoesNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("looking up the account at issuer %q: %w", a.s.issuer.Name, err)
	}
	return found.Location, nil
}

// create registers an account (RFC 8555, section 7.3). It signs with a core of
// its own, since only one without an account's URL signs with the bare key.
func (a *attempt) create(key crypto.Signer) (string, error) {
	issuer, dir := a.s.issuer, a.dir
	if terms := dir.Meta.TermsOfService; terms != "" && !issuer.AgreeTerms {
		return "", misconfigured("the CA asks for agreement to its terms (%s): read them, then set agree_terms = true", clean(terms))
	}
	if dir.Meta.ExternalAccountRequired && issuer.EAB.KeyID == "" {
		return "", misconfigured("the CA wants an external account: set the eab block to what it gave you")
	}
	if err := checkEAB(issuer.EAB); err != nil {
		return "", err
	}
	core, err := a.job.core("", key)
	if err != nil {
		return "", err
	}
	request := acme.Account{TermsOfServiceAgreed: issuer.AgreeTerms, Contact: mailto(issuer.Contact)}
	created, err := call(a.job, func() (acme.ExtendedAccount, error) { return a.newAccount(core, request) })
	if err != nil {
		return "", err
	}
	if created.Status != "" && created.Status != acme.StatusValid {
		return "", refusing("the account of this key is %s", quote(created.Status))
	}
	return created.Location, nil
}

// checkEAB looks at the external account's key without showing any of it.
func checkEAB(eab config.EAB) error {
	if eab.KeyID == "" {
		return nil
	}
	key, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(eab.HMACKey.Reveal(), "="))
	if err != nil {
		return misconfigured("the hmac_key of the eab block is not base64url: set it as the CA gave it")
	}
	if len(key) < minHMACKey {
		return misconfigured("the hmac_key of the eab block is %d bytes long, and CAs give at least %d: is a part of it missing?", len(key), minHMACKey)
	}
	return nil
}

func (a *attempt) newAccount(core *api.Core, request acme.Account) (acme.ExtendedAccount, error) {
	eab := a.s.issuer.EAB
	if eab.KeyID == "" {
		return core.Accounts.New(request)
	}
	return core.Accounts.NewEAB(request, eab.KeyID, eab.HMACKey.Reveal())
}

// updateContact brings the contacts at the CA up to date. A failure is put off
// to the next order: contacts must not stand in the way of a renewal. (lego can
// not clear contacts, so an emptied list leaves them.)
func (a *attempt) updateContact(account store.Account, key crypto.Signer) store.Account {
	want := a.s.issuer.Contact
	if len(want) == 0 || slices.Equal(want, account.Contact) {
		return account
	}
	core, err := a.job.core(account.URL, key)
	if err == nil {
		_, err = call(a.job, func() (acme.Account, error) {
			return core.Accounts.Update(account.URL, acme.Account{Contact: mailto(want)})
		})
	}
	if err != nil {
		a.c.log.Warn("the account's contacts stay as they were", "issuer", a.s.issuer.Name, "err", shown(err))
		return account
	}
	updated := account
	updated.Contact = slices.Clone(want)
	if err := a.c.books.SaveAccount(updated); err != nil {
		a.c.log.Warn("the account's contacts were not noted", "issuer", a.s.issuer.Name, "err", err)
	}
	return updated
}

func mailto(addresses []string) []string {
	var urls []string
	for _, address := range addresses {
		urls = append(urls, "mailto:"+address)
	}
	return urls
}
