package probe

import (
	"fmt"

	ber "github.com/go-asn1-ber/asn1-ber"
)

// startTLS is the extended request of RFC 4511, section 4.14.1, as message 1.
const startTLS = "\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037"

// Of RFC 4511: the tag of an ExtendedResponse, and the code of what succeeded.
const (
	extendedResponse = 24
	ldapSuccess      = 0
)

func ldap(d *dialogue) error {
	d.packets, d.step = true, "StartTLS"
	if err := d.write([]byte(startTLS)); err != nil {
		return err
	}
	answer, err := ber.ReadPacket(d.R)
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	// LDAPMessage: its number, then the response: a code, a name, and words.
	if len(answer.Children) < 2 {
		return refusal("the server's answer is no LDAP message")
	}
	r := answer.Children[1]
	if r.ClassType != ber.ClassApplication || r.Tag != extendedResponse || len(r.Children) < 3 {
		return refusal("the server's answer is no extended response")
	}
	if code, ok := r.Children[0].Value.(int64); !ok || code != ldapSuccess {
		return refusal(fmt.Sprintf("the server answered with result code %v and %s", r.Children[0].Value, quote(r.Children[2].Data.String())))
	}
	return nil
}
