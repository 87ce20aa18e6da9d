package acmetest

import (
	"net/http"
	"strings"
	"sync/atomic"
)

// Counts is what the CA has seen since it was started.
type Counts struct {
	Requests  int // all that arrived, those that the middleware answered too
	NewOrders int // orders created
	Finalized int // orders that were finalized
	Accounts  int // accounts created
	ARI       int // questions for renewal information
}

type counts struct {
	all, orders, finalized, accounts, ari atomic.Int64
}

// Counts returns what the CA has seen.
func (c *CA) Counts() Counts {
	n := &c.counts
	return Counts{
		Requests:  int(n.all.Load()),
		NewOrders: int(n.orders.Load()),
		Finalized: int(n.finalized.Load()),
		Accounts:  int(n.accounts.Load()),
		ARI:       int(n.ari.Load()),
	}
}

// Orders returns how many orders were created.
func (c *CA) Orders() int { return c.Counts().NewOrders }

func (n *counts) requests(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.all.Add(1)
		next.ServeHTTP(w, r)
	})
}

// successes counts what Pebble itself said yes to.
func (n *counts) successes(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(seen, r)
		switch {
		case r.URL.Path == newOrderPath && seen.status == http.StatusCreated:
			n.orders.Add(1)
		case r.URL.Path == newAccountPath && seen.status == http.StatusCreated:
			n.accounts.Add(1)
		case strings.HasPrefix(r.URL.Path, finalizePath) && seen.status == http.StatusOK:
			n.finalized.Add(1)
		}
	})
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}
