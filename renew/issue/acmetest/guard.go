package acmetest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/letsencrypt/pebble/v2/core"
)

// Pebble's paths, which it keeps to itself.
const (
	newAccountPath  = "/sign-me-up"
	newOrderPath    = "/order-plz"
	finalizePath    = "/finalize-order/"
	authzPath       = "/authZ/"
	renewalInfoPath = "/draft-ietf-acme-ari-03/renewalInfo/"
)

// The longest that the reply to a finalize waits for the certificate.
const finalizeWait = 5 * time.Second

// guard keeps two deadlocks of Pebble 2.10 from happening; both need requests
// in parallel.
//
// Reading an authorization takes the authorization's lock, then the store's;
// reading an order takes them the other way round. So reads of authorizations
// are let in alone.
//
// Reading an order takes its read lock twice, and the completion of a finalize
// takes the write lock in between (pebble issue 554). So the reply to a finalize
// is held back until the certificate is there, and with it the client's polls.
func (c *CA) guard(next http.Handler) http.Handler {
	var gate sync.RWMutex
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, authzPath):
			gate.Lock()
			defer gate.Unlock()
			next.ServeHTTP(w, r)
		case strings.HasPrefix(r.URL.Path, finalizePath):
			reply := &heldReply{header: make(http.Header), status: http.StatusOK}
			gate.RLock()
			next.ServeHTTP(reply, r)
			gate.RUnlock()
			if reply.status == http.StatusOK {
				c.awaitCertificate(r.Context(), strings.TrimPrefix(r.URL.Path, finalizePath), &gate)
			}
			reply.send(w)
		case r.URL.Path == newOrderPath:
			c.afterMark(r)
			gate.RLock()
			defer gate.RUnlock()
			next.ServeHTTP(w, r)
		default:
			gate.RLock()
			defer gate.RUnlock()
			next.ServeHTTP(w, r)
		}
	})
}

// awaitCertificate waits until the order has its certificate and can be named
// as replaced.
func (c *CA) awaitCertificate(ctx context.Context, order string, gate *sync.RWMutex) {
	ctx, cancel := context.WithTimeout(ctx, finalizeWait)
	defer cancel()
	gate.RLock()
	o := c.store.GetOrderByID(order)
	gate.RUnlock()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !c.recorded(o) {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (c *CA) recorded(o *core.Order) bool {
	if o == nil {
		return true
	}
	o.RLock()
	cert := o.CertificateObject
	o.RUnlock()
	if cert == nil {
		return false
	}
	if _, err := c.store.GetOrderByIssuedSerial(cert.ID); err != nil {
		return false
	}
	return o.Replaces == "" || c.replaced(o.Replaces)
}

// replaced tells whether the certificate with that id (RFC 9773, section 4.1) is
// marked as replaced. Pebble reads the mark without the lock that it writes it
// with, so the next order must not come before.
func (c *CA) replaced(certID string) bool {
	serial, ok := serialOf(certID)
	if !ok {
		return true
	}
	former, err := c.store.GetOrderByIssuedSerial(hex.EncodeToString(serial.Bytes()))
	if err != nil {
		return true
	}
	former.RLock()
	defer former.RUnlock()
	return former.IsReplaced
}

// afterMark orders a new order after the marks on the certificate that it
// replaces: a failed validation takes a mark away, from a goroutine of its own.
func (c *CA) afterMark(r *http.Request) {
	body, err := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	if err != nil {
		return
	}
	var signed struct {
		Payload string `json:"payload"`
	}
	_ = json.Unmarshal(body, &signed) // what does not parse is for Pebble to refuse
	payload, _ := base64.RawURLEncoding.DecodeString(signed.Payload)
	var order struct {
		Replaces string `json:"replaces"`
	}
	if json.Unmarshal(payload, &order) == nil && order.Replaces != "" {
		c.replaced(order.Replaces)
	}
}

// heldReply keeps a reply until send.
type heldReply struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (h *heldReply) Header() http.Header         { return h.header }
func (h *heldReply) WriteHeader(status int)      { h.status = status }
func (h *heldReply) Write(b []byte) (int, error) { return h.body.Write(b) }

func (h *heldReply) send(w http.ResponseWriter) {
	for key, values := range h.header {
		w.Header()[key] = values
	}
	w.WriteHeader(h.status)
	_, _ = w.Write(h.body.Bytes())
}
