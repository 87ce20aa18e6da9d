package config

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// trustRoots reads the PEM file of roots that an argument names, and returns its
// path too; neither where it can't be used.
func (s scope) trustRoots(attr *hcl.Attribute) (path string, text []byte) {
	one, ok := s.text(attr)
	if !ok {
		return "", nil
	}
	path = one.text
	if src := s.byName[one.rng.Filename]; src != nil {
		path = absolute(src.dir, path)
	}
	if s.opts.skipFiles {
		return path, nil
	}
	s.used[path] = true
	text, _, err := readRegular(path)
	if err != nil {
		s.fail(one.rng, fmt.Sprintf("trust_roots can't be read: %v", err), fmt.Sprintf("Make %s a PEM file that the agent may read.", quoted(path)))
		return "", nil
	}
	if problem := checkRoots(text); problem != "" {
		s.fail(one.rng, "trust_roots "+problem, fmt.Sprintf("Put the CA's root certificates into %s as PEM, and nothing else.", quoted(path)))
		return "", nil
	}
	return path, text
}

// checkRoots says what is wrong with a file of roots; nothing where it is fine.
func checkRoots(text []byte) string {
	found := 0
	for rest := bytes.TrimSpace(text); len(rest) > 0; found++ {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			break
		}
		if strings.Contains(block.Type, "PRIVATE KEY") {
			return "holds a private key"
		}
		if block.Type != "CERTIFICATE" {
			return "holds something else than certificates"
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return "holds a certificate that does not parse"
		}
	}
	if found == 0 {
		return "holds no certificate"
	}
	return ""
}
