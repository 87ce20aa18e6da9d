package config

import (
	"errors"
	"fmt"
	"strings"
)

// wellKnown is a public CA whose directory has a short name.
type wellKnown struct {
	name string
	url  string
	eab  bool // it registers accounts only with an external account binding
}

// wellKnownCAs lists them in the order in which an error shows them.
func wellKnownCAs() []wellKnown {
	return []wellKnown{
		{"letsencrypt", "https://acme-v02.api.letsencrypt.org/directory", false},
		{"letsencrypt-staging", "https://acme-staging-v02.api.letsencrypt.org/directory", false},
		{"google", "https://dv.acme-v02.api.pki.goog/directory", true},
		{"google-staging", "https://dv.acme-v02.test-api.pki.goog/directory", true},
		{"zerossl", "https://acme.zerossl.com/v2/DV90", true},
		{"sslcom-ecc", "https://acme.ssl.com/sslcom-dv-ecc", true},
		{"sslcom-rsa", "https://acme.ssl.com/sslcom-dv-rsa", true},
		{"actalis", "https://acme-api.actalis.com/acme/directory", true},
	}
}

// DirectoryURL returns the ACME directory of a public CA by its short name. The
// error for any other name says which there are.
func DirectoryURL(shortName string) (string, error) {
	known := wellKnownCAs()
	names := make([]string, len(known))
	for i, ca := range known {
		if ca.name == shortName {
			return ca.url, nil
		}
		names[i] = ca.name
	}
	if strings.HasPrefix(shortName, "buypass") {
		return "", errors.New("buypass has closed its ACME service and issues nothing any more: choose another CA, such as letsencrypt")
	}
	list := "write an https URL, or one of " + strings.Join(names, ", ")
	if near := nearest(shortName, names); near != "" {
		return "", fmt.Errorf("no well-known CA is called %s: did you mean %q? Otherwise %s", quoted(shortName), near, list)
	}
	return "", fmt.Errorf("no well-known CA is called %s: %s", quoted(shortName), list)
}

// caByURL returns the well-known CA whose directory url is.
func caByURL(url string) (wellKnown, bool) {
	for _, ca := range wellKnownCAs() {
		if ca.url == strings.TrimSuffix(url, "/") {
			return ca, true
		}
	}
	return wellKnown{}, false
}
