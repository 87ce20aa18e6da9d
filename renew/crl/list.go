package crl

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// list is what is kept of a revocation list: 24 bytes for each certificate on it.
type list struct {
	thisUpdate time.Time
	nextUpdate time.Time // zero where the CA names none
	revoked    []entry   // sorted by serial
}

type entry struct {
	serial uint64 // the first bytes of the SHA-256 of the serial number
	at     int64  // Unix time
	reason int8   // RFC 5280, section 5.3.1
}

func (l *list) find(serial *big.Int) (entry, bool) {
	i, ok := slices.BinarySearchFunc(l.revoked, shortOf(serial), func(e entry, want uint64) int { return cmp.Compare(e.serial, want) })
	if !ok {
		return entry{}, false
	}
	return l.revoked[i], true
}

// The parts of a CertificateList (RFC 5280, section 5.1).
type outer struct {
	TBS       asn1.RawValue
	Algorithm asn1.RawValue
	Signature asn1.RawValue
}

// parse reads a list that was fetched from url, and checks that issuer signed
// it. The standard library makes some 300 bytes of each entry; a list of 16 MiB
// would take most of the memory of a small host. So it is given the list
// without its entries, and those are read here, one by one.
func parse(der []byte, url string, issuer *x509.Certificate) (*list, error) {
	var whole outer
	if rest, err := asn1.Unmarshal(der, &whole); err != nil || len(rest) > 0 {
		return nil, errors.New("it is no revocation list in DER")
	}
	bare, entries, err := split(whole)
	if err != nil {
		return nil, err
	}
	head, err := x509.ParseRevocationList(bare)
	if err != nil {
		return nil, fmt.Errorf("parsing its head: %.200q", err.Error())
	}
	if !bytes.Equal(head.RawIssuer, issuer.RawSubject) {
		return nil, fmt.Errorf("it is by %.200q, not by the certificate's issuer", head.Issuer.String())
	}
	head.RawTBSRevocationList = whole.TBS.FullBytes // the signature is over all of it
	if err := head.CheckSignatureFrom(issuer); err != nil {
		return nil, fmt.Errorf("its signature is not by the certificate's issuer: %.200q", err.Error())
	}
	if err := covers(head, url); err != nil {
		return nil, err
	}
	l := &list{thisUpdate: head.ThisUpdate, nextUpdate: head.NextUpdate}
	if l.revoked, err = readEntries(entries); err != nil {
		return nil, err
	}
	return l, nil
}

// split takes the entries out of a list: revokedCertificates is the one element
// of the outermost level that is a SEQUENCE after the dates.
func split(whole outer) (bare, entries []byte, err error) {
	var kept []byte
	dates := 0
	for rest := whole.TBS.Bytes; len(rest) > 0; {
		var v asn1.RawValue
		if rest, err = asn1.Unmarshal(rest, &v); err != nil {
			return nil, nil, errors.New("its DER is torn")
		}
		universal := v.Class == asn1.ClassUniversal
		switch {
		case universal && (v.Tag == asn1.TagUTCTime || v.Tag == asn1.TagGeneralizedTime):
			dates++
		case universal && v.Tag == asn1.TagSequence && dates > 0:
			entries = v.Bytes
			continue
		}
		kept = append(kept, v.FullBytes...)
	}
	tbs, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: kept})
	if err != nil {
		return nil, nil, err
	}
	bare, err = asn1.Marshal(outer{asn1.RawValue{FullBytes: tbs}, whole.Algorithm, whole.Signature})
	return bare, entries, err
}

// readEntries takes 24 bytes of memory for each.
func readEntries(der []byte) ([]entry, error) {
	var all []entry
	for len(der) > 0 {
		tag, one, rest, err := element(der)
		if err == nil && tag != tagSequence {
			err = errTorn
		}
		var e entry
		if err == nil {
			e, err = readEntry(one)
		}
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", len(all)+1, err)
		}
		all, der = append(all, e), rest
	}
	slices.SortFunc(all, func(a, b entry) int { return cmp.Compare(a.serial, b.serial) })
	return all, nil
}

// scope is an issuing distribution point (RFC 5280, section 5.2.5).
type scope struct {
	Point      asn1.RawValue  `asn1:"optional,tag:0"`
	OnlyUser   bool           `asn1:"optional,tag:1"`
	OnlyCA     bool           `asn1:"optional,tag:2"`
	Reasons    asn1.BitString `asn1:"optional,tag:3"`
	Indirect   bool           `asn1:"optional,tag:4"`
	Attributes bool           `asn1:"optional,tag:5"`
}

// covers tells whether the list answers for servers' certificates that name url.
// CAs that have many certificates cut their list in pieces, each signed by the
// same key: who answers with another piece (RFC 5280, section 6.3.3 b 2) would
// hide what is on this one.
func covers(head *x509.RevocationList, url string) error {
	for _, x := range head.Extensions {
		if !x.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 28}) {
			if x.Critical {
				return fmt.Errorf("it has the critical extension %s, which is not known here", x.Id)
			}
			continue
		}
		var s scope
		if rest, err := asn1.Unmarshal(x.Value, &s); err != nil || len(rest) > 0 {
			return errors.New("its issuing distribution point can't be read")
		}
		if s.OnlyCA || s.Attributes || s.Indirect {
			return errors.New("it is not for the certificates of servers, or not of this issuer alone")
		}
		if len(s.Point.Bytes) > 0 && !names(s.Point.Bytes, url) {
			return fmt.Errorf("it is another piece of the CA's list than %s", url)
		}
	}
	return nil
}

// names tells whether a DistributionPointName has url among its full names.
func names(der []byte, url string) bool {
	var point asn1.RawValue
	if _, err := asn1.Unmarshal(der, &point); err != nil || point.Tag != 0 {
		return false
	}
	for rest := point.Bytes; len(rest) > 0; {
		var name asn1.RawValue
		var err error
		if rest, err = asn1.Unmarshal(rest, &name); err != nil {
			return false
		}
		if name.Tag == 6 && string(name.Bytes) == url { // uniformResourceIdentifier
			return true
		}
	}
	return false
}
