package renew

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Limits of RFC 1035, section 2.3.4, for a name in its dotted form.
const (
	maxName  = 253
	maxLabel = 63
)

// maxShownName bounds how much of a refused name an error repeats.
const maxShownName = 80

// ParseName returns the one form in which the identifier s is ordered, compared
// and stored: a DNS name in lower case with A-labels (IDNA2008, lookup profile)
// and without the trailing dot, or an IP address as netip prints it. A wildcard
// stands as the whole leftmost label only (RFC 8555, section 7.1.3). Names that
// no public CA issues for, such as localhost or printer.internal, are accepted:
// a private CA may. ParseName of its own result returns that result.
//
// Its errors say what to write instead.
func ParseName(s string) (string, error) {
	if s == "" {
		return "", errors.New("the name is empty: write a DNS name or an IP address")
	}
	if ip, err := netip.ParseAddr(s); err == nil {
		return canonicalIP(s, ip)
	}
	if err := foreignForm(s); err != nil {
		return "", err
	}
	rest, wildcard := strings.CutPrefix(s, "*.")
	if strings.Contains(rest, "*") {
		return "", fmt.Errorf("%s has a wildcard in the wrong place: it can only be the whole leftmost label, as in *.example.com", shown(s))
	}
	host, err := dnsName(s, rest)
	if err != nil {
		return "", err
	}
	if wildcard {
		host = "*." + host
	}
	if len(host) > maxName {
		return "", fmt.Errorf("%s is too long: a DNS name has at most %d characters", shown(s), maxName)
	}
	return host, nil
}

func canonicalIP(s string, ip netip.Addr) (string, error) {
	if ip.Zone() != "" {
		return "", fmt.Errorf("%s has a zone, which no certificate can hold: write %s", shown(s), ip.WithZone(""))
	}
	ip = ip.Unmap()
	if ip.IsUnspecified() || ip.IsMulticast() {
		return "", fmt.Errorf("%s is not the address of one host: write the address that clients connect to", shown(s))
	}
	return ip.String(), nil
}

// foreignForm recognises what people write in place of a name, and says so.
func foreignForm(s string) error {
	if !utf8.ValidString(s) || strings.ContainsRune(s, utf8.RuneError) {
		return fmt.Errorf("%s is not UTF-8: use labels of letters, digits and inner hyphens", shown(s))
	}
	if strings.ContainsFunc(s, unprintable) {
		return fmt.Errorf("%s holds a space or a control character: write one name in each string", shown(s))
	}
	if scheme, rest, ok := strings.Cut(s, "://"); ok && !strings.ContainsAny(scheme, "/.") {
		return fmt.Errorf("%s is a URL: write only its host, %s", shown(s), shown(hostOf(rest)))
	}
	if strings.Contains(s, "@") {
		_, domain, _ := strings.Cut(s, "@")
		return fmt.Errorf("%s is a mail address: write only a host, such as %s", shown(s), shown(domain))
	}
	if _, err := netip.ParsePrefix(s); err == nil {
		return fmt.Errorf("%s is a range of addresses: write each address by itself", shown(s))
	}
	if strings.ContainsAny(s, "/?#\\") {
		return fmt.Errorf("%s holds a path: write only the host, %s", shown(s), shown(hostOf(s)))
	}
	if strings.HasPrefix(s, "[") {
		return fmt.Errorf("%s is in brackets: write the bare address, %s", shown(s), shown(hostOf(s)))
	}
	if host := hostOf(s); host != s {
		return fmt.Errorf("%s holds a port: write only the host, %s", shown(s), shown(host))
	}
	if strings.Contains(s, "_") {
		return fmt.Errorf("%s holds an underscore, which no CA issues for: use a host name of letters, digits and hyphens", shown(s))
	}
	return nil
}

// hostOf returns the host of what follows the scheme of a URL.
func hostOf(s string) string {
	if i := strings.IndexAny(s, "/?#\\"); i >= 0 {
		s = s[:i]
	}
	s = s[strings.LastIndex(s, "@")+1:]
	if inner, ok := strings.CutPrefix(s, "["); ok {
		inner, _, _ = strings.Cut(inner, "]")
		return inner
	}
	host, _, _ := strings.Cut(s, ":")
	return host
}

// dnsName maps the part of s behind a wildcard to lower-case A-labels.
func dnsName(s, rest string) (string, error) {
	host, err := idna.Lookup.ToASCII(rest)
	if err != nil {
		return "", fmt.Errorf("%s is not a DNS name: use labels of letters, digits and inner hyphens (%v)", shown(s), err)
	}
	host = strings.TrimSuffix(host, ".") // the root's dot, in whichever script it was written
	last := host
	for label := range strings.SplitSeq(host, ".") {
		last = label
		switch {
		case label == "":
			return "", fmt.Errorf("%s has an empty label: write one dot between labels", shown(s))
		case len(label) > maxLabel:
			return "", fmt.Errorf("%s has a label of %d characters: at most %d are possible", shown(s), len(label), maxLabel)
		case strings.ContainsFunc(label, notLDH) || label[0] == '-' || label[len(label)-1] == '-':
			return "", fmt.Errorf("%s is not a DNS name: use labels of letters, digits and inner hyphens", shown(s))
		}
	}
	if numeric(last) {
		return "", fmt.Errorf("%s ends in a number but is not an IP address: write all four parts, such as 192.0.2.1, or a DNS name", shown(s))
	}
	return host, nil
}

// numeric tells whether a last label makes other software read the name as an
// IPv4 address (the "ends in a number" check of the WHATWG URL standard).
func numeric(label string) bool {
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

func notLDH(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-'
}

func unprintable(r rune) bool { return unicode.IsSpace(r) || !unicode.IsGraphic(r) }

// shown quotes s for an error, cut where it is long.
func shown(s string) string {
	if len(s) > maxShownName {
		s = s[:maxShownName] + "…"
	}
	return fmt.Sprintf("%q", s)
}
