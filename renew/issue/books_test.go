package issue

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/store"
)

// errPower is what shelf answers once its power is cut.
var errPower = errors.New("power failed")

// shelf is Books in memory. It enforces what the real ones do: an account's key
// is never overwritten, an order's URL needs an order, versions only grow.
type shelf struct {
	mu       sync.Mutex
	accounts map[string]store.Account
	orders   map[string]store.Order
	ledgers  map[string]renew.Ledger
	versions map[string][]store.Bundle
	calls    []string // the writing ones
	cutAfter string   // the write after which power fails; empty means never
	cutAt    string   // the write that fails itself
	dead     bool
}

func newShelf() *shelf {
	return &shelf{
		accounts: make(map[string]store.Account),
		orders:   make(map[string]store.Order),
		ledgers:  make(map[string]renew.Ledger),
		versions: make(map[string][]store.Bundle),
	}
}

// reboot gives what is durable to a next process.
func (b *shelf) reboot() *shelf {
	b.mu.Lock()
	defer b.mu.Unlock()
	next := newShelf()
	next.accounts, next.orders, next.ledgers = maps.Clone(b.accounts), maps.Clone(b.orders), maps.Clone(b.ledgers)
	for name, v := range b.versions {
		next.versions[name] = slices.Clone(v)
	}
	return next
}

// write does one durable write, unless power has failed.
func (b *shelf) write(name string, do func() error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls = append(b.calls, name)
	if b.cutAt == name {
		b.dead = true
	}
	if b.dead {
		return errPower
	}
	if err := do(); err != nil {
		return err
	}
	if b.cutAfter == name {
		b.dead = true
		return errPower
	}
	return nil
}

func (b *shelf) Account(directory, eab string) (store.Account, bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a, ok := b.accounts[directory+" "+eab]
	return a, ok, nil
}

func (b *shelf) SaveAccount(a store.Account) error {
	call := "SaveAccount(key)"
	if a.URL != "" {
		call = "SaveAccount(url)"
	}
	return b.write(call, func() error {
		id := a.Directory + " " + a.EABKeyID
		if old, ok := b.accounts[id]; ok && string(old.Key) != string(a.Key) {
			return errors.New("the account has another key")
		}
		b.accounts[id] = a
		return nil
	})
}

func (b *shelf) HoldAccount(directory, eab string, until time.Time) error {
	return b.write("HoldAccount", func() error {
		a, ok := b.accounts[directory+" "+eab]
		if !ok {
			return errors.New("no such account")
		}
		a.HoldUntil = until
		b.accounts[directory+" "+eab] = a
		return nil
	})
}

func (b *shelf) Order(name string) (store.Order, bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o, ok := b.orders[name]
	return o, ok, nil
}

func (b *shelf) BeginOrder(name string, o store.Order) error {
	return b.write("BeginOrder", func() error { b.orders[name] = o; return nil })
}

func (b *shelf) SetOrderURL(name, url string) error {
	return b.write("SetOrderURL", func() error {
		o, ok := b.orders[name]
		if !ok {
			return errors.New("no order begun")
		}
		o.URL = url
		b.orders[name] = o
		return nil
	})
}

func (b *shelf) EndOrder(name string) error {
	return b.write("EndOrder", func() error { delete(b.orders, name); return nil })
}

func (b *shelf) Ledger(directory, eab string, change func(*renew.Ledger) error) error {
	return b.write("Ledger", func() error {
		l := b.ledgers[directory+" "+eab]
		l.Entries = slices.Clone(l.Entries)
		if err := change(&l); err != nil {
			return err
		}
		b.ledgers[directory+" "+eab] = l
		return nil
	})
}

func (b *shelf) Read(name string, n int) (store.Bundle, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n < 1 || n > len(b.versions[name]) {
		return store.Bundle{}, errors.New("no such version")
	}
	return b.versions[name][n-1], nil
}

func (b *shelf) Commit(name string, v store.Bundle) (int, error) {
	n := 0
	err := b.write("Commit", func() error {
		b.versions[name] = append(b.versions[name], v)
		n = len(b.versions[name])
		return nil
	})
	return n, err
}
