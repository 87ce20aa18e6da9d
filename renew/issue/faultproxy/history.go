package faultproxy

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Event is one call of the client's.
type Event struct {
	N       int       // its place in the order in which calls began, from 1
	At      time.Time // when it began
	Kind    Kind
	Method  string
	Path    string
	Account string   // URL of the account that signed it, or that was created
	Names   []string // identifiers that it is about, as far as is known
	Nonce   string   // that it was signed with
	Signed  string   // the URL in its signed header (RFC 8555, section 6.4)

	Asked      int    // how often the CA was asked
	CA         int    // the status that the CA answered last; 0 where none
	Status     int    // the status that the client was sent; 0 where none
	RetryAfter string // that the client was sent
	Given      string // the nonce that the client was sent
	Verdict    string // the action's name; "passed" where no rule acted
	Origin     string // the URL that the call was made to
}

// Passed is the verdict on a call that no rule acted on.
const Passed = "passed"

// History is a list of events in the order in which they began.
type History []Event

// Count returns how many calls the CA itself answered with status.
func (h History) Count(kind Kind, status int) int {
	n := 0
	for _, e := range h {
		if e.Kind == kind && e.CA == status {
			n++
		}
	}
	return n
}

// Orders counts the orders that the CA created for name; empty counts all.
func (h History) Orders(name string) int {
	n := 0
	for _, e := range h {
		if e.Kind == NewOrder && e.CA == http.StatusCreated && (name == "" || slices.Contains(e.Names, name)) {
			n++
		}
	}
	return n
}

// Accounts lists the accounts that the CA created or was asked for by key.
func (h History) Accounts() []string {
	var all []string
	for _, e := range h {
		if e.Kind == NewAccount && e.Account != "" && !slices.Contains(all, e.Account) {
			all = append(all, e.Account)
		}
	}
	return all
}

// Check judges a client by what it sent. It returns one line for each breach:
// a nonce used more often than it was given out (RFC 8555, section 6.5), a
// signature for another URL than the request's (section 6.4), an order placed while
// the account had been told to wait (section 6.6).
func (h History) Check() []string {
	var breaches []string
	given, used := make(map[string]int), make(map[string]int)
	wait := make(map[string]time.Time) // by account
	for _, e := range h {
		given[e.Given]++
	}
	for _, e := range h {
		if used[e.Nonce]++; e.Nonce != "" && used[e.Nonce] > max(given[e.Nonce], 1) {
			breaches = append(breaches, fmt.Sprintf("call %d (%s) uses a nonce once more", e.N, e.Kind))
		}
		if e.Signed != "" && e.Signed != e.Origin {
			breaches = append(breaches, fmt.Sprintf("call %d to %s is signed for %s", e.N, e.Origin, e.Signed))
		}
		if e.Kind != NewOrder {
			continue
		}
		if until := wait[e.Account]; e.At.Before(until) {
			breaches = append(breaches, fmt.Sprintf("call %d orders %s before its account may", e.N, until.Sub(e.At)))
		}
		if seconds, err := strconv.Atoi(e.RetryAfter); err == nil && e.Status == http.StatusTooManyRequests {
			wait[e.Account] = e.At.Add(time.Duration(seconds) * time.Second)
		}
	}
	return breaches
}
