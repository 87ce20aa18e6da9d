package crl

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// element reads one element of DER: a tag of one byte, a length, the content.
// The standard library's reader takes seconds and hundreds of megabytes for a
// large list; this one reads what the CA's signature was found to be over.
func element(der []byte) (tag byte, content, rest []byte, err error) {
	if len(der) < 2 {
		return 0, nil, nil, errTorn
	}
	tag, length, head := der[0], int(der[1]), 2
	if length >= 0x80 {
		n := length & 0x7f
		if n == 0 || n > 4 || len(der) < 2+n {
			return 0, nil, nil, errTorn
		}
		length, head = 0, 2+n
		for _, b := range der[2:head] {
			length = length<<8 | int(b)
		}
	}
	if length < 0 || length > len(der)-head {
		return 0, nil, nil, errTorn
	}
	return tag, der[head : head+length], der[head+length:], nil
}

var errTorn = errors.New("its DER is torn")

// The tags that an entry is made of.
const (
	tagInteger    = 0x02
	tagEnumerated = 0x0a
	tagSequence   = 0x30
	tagUTCTime    = 0x17
	tagTime       = 0x18
)

// readEntry reads one element of revokedCertificates (RFC 5280, section 5.1).
func readEntry(der []byte) (e entry, err error) {
	tag, serial, rest, err := element(der)
	if err != nil || tag != tagInteger {
		return e, fmt.Errorf("a serial number can't be read")
	}
	tag, at, rest, err := element(rest)
	if err != nil {
		return e, err
	}
	e.serial = short(serial)
	if e.at, err = readTime(tag, at); err != nil || len(rest) == 0 {
		return e, err
	}
	_, extensions, _, err := element(rest)
	e.reason = readReason(extensions)
	return e, err
}

// short stands for a serial number, the content octets of its INTEGER.
func short(octets []byte) uint64 {
	for len(octets) > 1 && octets[0] == 0 { // some CAs write more zeros than DER has
		octets = octets[1:]
	}
	sum := sha256.Sum256(octets)
	return binary.BigEndian.Uint64(sum[:8])
}

// shortOf is short of a number; serial numbers are positive (RFC 5280, section
// 4.1.2.2).
func shortOf(n *big.Int) uint64 {
	if octets := n.Bytes(); len(octets) > 0 {
		return short(octets)
	}
	return short([]byte{0})
}

func readTime(tag byte, text []byte) (int64, error) {
	layout := ""
	switch tag {
	case tagUTCTime:
		layout = "060102150405Z"
	case tagTime:
		layout = "20060102150405Z"
	}
	at, err := time.Parse(layout, string(text))
	if err != nil || layout == "" {
		return 0, errors.New("the time of a revocation can't be read")
	}
	return at.Unix(), nil
}

// reasonCode is id-ce-cRLReasons, 2.5.29.21, as an element.
const reasonCode = "\x06\x03\x55\x1d\x15"

// readReason returns 0, unspecified, where there is none.
func readReason(extensions []byte) int8 {
	for rest := extensions; len(rest) > 0; {
		var one []byte
		var err error
		if _, one, rest, err = element(rest); err != nil {
			return 0
		}
		if len(one) < len(reasonCode) || string(one[:len(reasonCode)]) != reasonCode {
			continue
		}
		for one = one[len(reasonCode):]; len(one) > 0; {
			var tag byte
			var value []byte
			if tag, value, one, err = element(one); err != nil {
				return 0
			}
			if tag == 0x04 && len(value) == 3 && value[0] == tagEnumerated && value[2] <= 10 { // the value, in an OCTET STRING
				return int8(value[2])
			}
		}
	}
	return 0
}
