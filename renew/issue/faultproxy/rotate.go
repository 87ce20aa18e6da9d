package faultproxy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// Where an endpoint went. What is signed is signed for its URL, and Pebble compares
// that to the request's path with a query escaped into it: so a signed endpoint
// moves by what Pebble reads as a query. Those that are not signed move aside.
const (
	suffix = "?moved="
	prefix = "/moved-"
)

// RotateDirectory moves every endpoint of the directory to a new URL, as CAs do.
// The old ones answer 404 from now on; orders and accounts stay where they are.
func (p *Proxy) RotateDirectory() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.moves++
}

// endpoint tells whether the directory names it.
func (k Kind) endpoint() bool {
	switch k {
	case NewNonce, NewAccount, NewOrder, Revoke, KeyChange, RenewalInfo:
		return true
	}
	return false
}

// unrotate returns the path at the CA, and that with its query, of a request. Both
// are empty where the request is to an endpoint of a former directory.
func (p *Proxy) unrotate(r *http.Request) (object, uri string) {
	p.mu.Lock()
	now := p.moves
	p.mu.Unlock()
	object, moves := r.URL.Path, "0"
	if rest, ok := strings.CutPrefix(object, prefix); ok {
		moves, object, _ = strings.Cut(rest, "/")
		object = "/" + object
	}
	uri = r.URL.RequestURI()
	if before, after, ok := strings.Cut(object, suffix); ok {
		object, moves = before, after
	}
	if p.atlas.find(object).kind.endpoint() && moves != strconv.Itoa(now) {
		return "", ""
	}
	if moves == "0" {
		return object, uri
	}
	if strings.HasPrefix(r.URL.Path, prefix) {
		return object, object
	}
	return object, object + suffix + moves
}

// rewrite moves the endpoints in a directory.
func (p *Proxy) rewrite(c *call, ans *answer) {
	p.mu.Lock()
	now := p.moves
	p.mu.Unlock()
	var dir map[string]any
	if c.Kind != Directory || now == 0 || json.Unmarshal(ans.body, &dir) != nil {
		return
	}
	for field, link := range dir {
		text, ok := link.(string)
		if !ok {
			continue
		}
		path := pathOf(text)
		switch kind := p.atlas.find(strings.TrimSuffix(path, "/") + "/").kind; {
		case kind == RenewalInfo:
			dir[field] = p.absolute(fmt.Sprintf("%s%d%s", prefix, now, path))
		case p.atlas.find(path).kind.endpoint():
			dir[field] = p.absolute(path + suffix + strconv.Itoa(now))
		}
	}
	ans.body, _ = json.Marshal(dir)
}
