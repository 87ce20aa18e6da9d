package store

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/certvigil/certvigil/renew/keypair"
)

const (
	orderFile = "order.json"
	csrFile   = "csr.der"
)

func orderDir(name string) string { return path.Join(certDir(name), "order") }

// Order returns the order in flight, if there is one. One of which a part is
// missing, torn or not for the same key reads as none: to place another costs
// less than to be stuck with it.
func (s *Store) Order(name string) (Order, bool, error) {
	if err := CheckName(name); err != nil {
		return Order{}, false, err
	}
	o, err := s.order(name)
	if isGarbled(err) || errors.Is(err, fs.ErrNotExist) {
		return Order{}, false, nil
	}
	if err != nil {
		return Order{}, false, fmt.Errorf("reading the order of %s: %w", name, err)
	}
	return o, true, nil
}

func (s *Store) order(name string) (Order, error) {
	var o Order
	var err error
	if err = s.readJSON(path.Join(orderDir(name), orderFile), &o); err != nil {
		return Order{}, err
	}
	if o.Key, err = readAll(s.folder.Root, path.Join(orderDir(name), keyFile)); err != nil {
		return Order{}, err
	}
	if o.CSR, err = readAll(s.folder.Root, path.Join(orderDir(name), csrFile)); err != nil {
		return Order{}, err
	}
	return o, checkOrder(o)
}

// checkOrder tells whether the request is one for the key.
func checkOrder(o Order) error {
	key, err := keypair.DecodeKey(o.Key)
	if err != nil {
		return &garbled{err}
	}
	csr, err := x509.ParseCertificateRequest(o.CSR)
	if err != nil {
		return &garbled{fmt.Errorf("parsing the certificate request: %w", err)}
	}
	if !keypair.Owns(key, csr.PublicKey) {
		return &garbled{errors.New("the certificate request is not one for the key")}
	}
	return nil
}

// BeginOrder makes the intent to issue durable, with the key and the request,
// before a CA hears of it. One in flight before is given up: after a crash
// there is that one, none, or this one, each of them whole.
func (s *Store) BeginOrder(name string, o Order) error {
	unlock, err := s.change(name)
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.beginOrder(name, o); err != nil {
		return fmt.Errorf("noting down the order of %s: %w", name, err)
	}
	return nil
}

func (s *Store) beginOrder(name string, o Order) error {
	if err := checkOrder(o); err != nil {
		return err
	}
	text, err := json.MarshalIndent(o, "", "  ")
	if err != nil {
		return err
	}
	if err := s.folder.mkdir(certDir(name), 0o755); err != nil {
		return err
	}
	return s.build(orderDir(name), 0o700, []part{
		{keyFile, o.Key, 0o600},
		{csrFile, o.CSR, 0o600},
		{orderFile, append(text, '\n'), 0o600},
	})
}

// SetOrderURL makes the order's URL durable, so that after a crash it is gone
// on with rather than placed again.
func (s *Store) SetOrderURL(name, url string) error {
	unlock, err := s.change(name)
	if err != nil {
		return err
	}
	defer unlock()
	o, err := s.order(name)
	if err != nil {
		return fmt.Errorf("noting down the order's URL of %s: %w", name, err)
	}
	o.URL = url
	if err := s.writeJSON(path.Join(orderDir(name), orderFile), o, 0o600); err != nil {
		return fmt.Errorf("noting down the order's URL of %s: %w", name, err)
	}
	return nil
}

// EndOrder forgets the order in flight, if there is one, and its key.
func (s *Store) EndOrder(name string) error {
	unlock, err := s.change(name)
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.dispose(orderDir(name)); err != nil {
		return fmt.Errorf("forgetting the order of %s: %w", name, err)
	}
	return nil
}
