package renew

import (
	"strings"
	"testing"
)

func TestParseName(t *testing.T) {
	label63 := strings.Repeat("a", 63)
	for in, want := range map[string]string{
		"example.com":                   "example.com",
		"EXAMPLE.Com":                   "example.com",
		"example.com.":                  "example.com",
		"example.com。":                  "example.com",
		"bücher.example":                "xn--bcher-kva.example",
		"BÜCHER.example":                "xn--bcher-kva.example",
		"xn--bcher-kva.example":         "xn--bcher-kva.example",
		"straße.example":                "xn--strae-oqa.example",
		"*.example.com":                 "*.example.com",
		"*.Bücher.example.":             "*.xn--bcher-kva.example",
		"localhost":                     "localhost",
		"printer.local":                 "printer.local",
		"db.internal":                   "db.internal",
		"abc.onion":                     "abc.onion",
		"1.example":                     "1.example",
		"192.0.2.1":                     "192.0.2.1",
		"2001:DB8:0:0::1":               "2001:db8::1",
		"::ffff:192.0.2.1":              "192.0.2.1",
		label63 + ".example":            label63 + ".example",
		"１９２。example":                   "192.example",
		"a-b.c--d.example":              "a-b.c--d.example",
		strings.Repeat("a.", 126) + "a": strings.Repeat("a.", 126) + "a",
	} {
		got, err := ParseName(in)
		if err != nil || got != want {
			t.Errorf("ParseName(%q) = %q, %v, want %q", in, got, err, want)
			continue
		}
		if again, err := ParseName(got); err != nil || again != got {
			t.Errorf("ParseName(%q) again = %q, %v", got, again, err)
		}
	}
}

func TestParseNameSaysWhatToWrite(t *testing.T) {
	for in, want := range map[string]string{
		"":                                     "is empty",
		" example.com":                         "a space",
		"a b":                                  "a space",
		"example.com\n":                        "a space or a control",
		"https://example.com/x":                `is a URL: write only its host, "example.com"`,
		"https://u@example.com:8443/":          `write only its host, "example.com"`,
		"ops@example.com":                      `is a mail address`,
		"mailto:ops@example.com":               `is a mail address`,
		"192.0.2.0/24":                         "a range of addresses",
		"2001:db8::/32":                        "a range of addresses",
		"example.com/path":                     `holds a path: write only the host, "example.com"`,
		"example.com:443":                      `holds a port: write only the host, "example.com"`,
		"[2001:db8::1]":                        `write the bare address, "2001:db8::1"`,
		"[2001:db8::1]:443":                    `write the bare address, "2001:db8::1"`,
		"fe80::1%eth0":                         "has a zone, which no certificate can hold: write fe80::1",
		"_acme-challenge.example.com":          "underscore",
		"*":                                    "wildcard in the wrong place",
		"*.*.example.com":                      "wildcard in the wrong place",
		"www.*.example.com":                    "wildcard in the wrong place",
		"w*.example.com":                       "wildcard in the wrong place",
		"*.":                                   "empty label",
		"*.192.0.2.1":                          "ends in a number",
		"a..example.com":                       "empty label",
		".example.com":                         "empty label",
		"example.com..":                        "empty label",
		".":                                    "empty label",
		"-a.example.com":                       "not a DNS name",
		"a-.example.com":                       "not a DNS name",
		"exa$mple.com":                         "not a DNS name",
		"xn--zz\u00ff.example":                 "not a DNS name",
		"xn--zn7c.example":                     "not a DNS name",
		"192.0.2":                              "ends in a number",
		"192.0.2.256":                          "ends in a number",
		"１２７.0.0.1":                            "ends in a number",
		"0x7f.0x1":                             "ends in a number",
		"0.0.0.0":                              "not the address of one host",
		"::":                                   "not the address of one host",
		"224.0.0.1":                            "not the address of one host",
		strings.Repeat("a", 64) + ".com":       "at most 63",
		strings.Repeat("ab.", 84) + "ab":       "at most 253",
		"*." + strings.Repeat("a.", 126) + "a": "at most 253",
		"\xff.example":                         "not UTF-8",
	} {
		got, err := ParseName(in)
		if err == nil {
			t.Errorf("ParseName(%q) = %q, want an error that holds %q", in, got, want)
			continue
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("ParseName(%q): %v, want an error that holds %q", in, err, want)
		}
		if len(err.Error()) > 400 {
			t.Errorf("ParseName(%.20q…): an error of %d bytes", in, len(err.Error()))
		}
	}
}

func FuzzParseName(f *testing.F) {
	for _, s := range []string{"example.com", "*.bücher.example.", "::ffff:1.2.3.4", "a\u00ad.b", "xn--a.b", "。", "*.*", "1e3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, err := ParseName(s)
		if err != nil {
			return
		}
		if strings.ContainsAny(name, " /_@[]\\\x00%") || name != strings.ToLower(name) {
			t.Fatalf("ParseName(%q) = %q", s, name)
		}
		if again, err := ParseName(name); err != nil || again != name {
			t.Fatalf("ParseName(%q) = %q, and of that %q, %v", s, name, again, err)
		}
	})
}
