package probe

import (
	"encoding/xml"
	"strings"
)

const xmppTLS = "urn:ietf:params:xml:ns:xmpp-tls"

// xmpp is RFC 6120, section 5.4, for clients or for servers. The name asked for
// is the domain: a server that is not the domain's has nothing to show.
func xmpp(namespace string) opening {
	return func(d *dialogue) error {
		d.step = "stream"
		var to strings.Builder
		if err := xml.EscapeText(&to, []byte(d.name)); err != nil {
			return err
		}
		err := d.write([]byte(`<?xml version='1.0'?><stream:stream xmlns='` + namespace +
			`' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' to='` + to.String() + `'>`))
		if err != nil {
			return err
		}
		answers := xml.NewDecoder(d.R)
		if _, err := element(answers, "stream"); err != nil {
			return err
		}
		start, err := element(answers, "features")
		if err != nil {
			return err
		}
		var features struct {
			StartTLS *struct{} `xml:"urn:ietf:params:xml:ns:xmpp-tls starttls"`
			All      string    `xml:",innerxml"`
		}
		if err := answers.DecodeElement(&features, &start); err != nil {
			return err
		}
		if features.StartTLS == nil {
			return lacks("STARTTLS", features.All)
		}
		d.step = "starttls"
		if err := d.write([]byte(`<starttls xmlns='` + xmppTLS + `'/>`)); err != nil {
			return err
		}
		_, err = element(answers, "proceed")
		return err
	}
}

// element returns the next element, which has to have this name. Of another
// (error, failure) what is in it is told.
func element(answers *xml.Decoder, name string) (xml.StartElement, error) {
	for {
		token, err := answers.Token()
		if err != nil {
			return xml.StartElement{}, err
		}
		switch t := token.(type) {
		case xml.CharData:
			if strings.TrimSpace(string(t)) != "" {
				return xml.StartElement{}, refused(string(t))
			}
		case xml.EndElement:
			return xml.StartElement{}, refused("</" + t.Name.Local + ">")
		case xml.StartElement:
			if t.Name.Local == name {
				return t, nil
			}
			var other struct {
				Inside string `xml:",innerxml"`
			}
			_ = answers.DecodeElement(&other, &t) // as far as it goes
			return xml.StartElement{}, refused("<" + t.Name.Local + ">" + other.Inside)
		}
	}
}
