package faultproxy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// Gone as a value for Mutate takes the field away.
var Gone = new(struct{})

// Mutate sets one field of the JSON that the CA answers. path names fields and
// places of arrays, with dots between: "identifiers.0.value". What is not on its
// way there is made. An answer that is no success, or no JSON, stays as it is.
func Mutate(path string, value any) Action {
	return Action{"mutate " + path, func(c *call) {
		ans := c.forward()
		var doc any
		if ans.status < 300 && json.Unmarshal(ans.body, &doc) == nil {
			doc = put(doc, strings.Split(path, "."), value)
			ans.body, _ = json.Marshal(doc)
		}
		c.send(ans)
	}}
}

// put returns doc with value at path.
func put(doc any, path []string, value any) any {
	if len(path) == 0 {
		return value
	}
	if list, ok := doc.([]any); ok {
		i, err := strconv.Atoi(path[0])
		switch {
		case err != nil || i < 0 || i >= len(list):
		case len(path) == 1 && value == any(Gone):
			return append(list[:i:i], list[i+1:]...)
		default:
			list[i] = put(list[i], path[1:], value)
		}
		return list
	}
	object, ok := doc.(map[string]any)
	if !ok {
		object = make(map[string]any)
	}
	if len(path) == 1 && value == any(Gone) {
		delete(object, path[0])
		return object
	}
	object[path[0]] = put(object[path[0]], path[1:], value)
	return object
}

// Header sets a header of the CA's answer; an empty value takes it away.
func Header(name, value string) Action {
	return Action{"header " + name, func(c *call) {
		ans := c.forward()
		if ans.header.Del(name); value != "" {
			ans.header.Set(name, value)
		}
		c.send(ans)
	}}
}

// Truncate passes on the first n bytes of the CA's answer as if that were all.
func Truncate(n int) Action {
	return Action{fmt.Sprintf("truncate to %d", n), func(c *call) {
		ans := c.forward()
		ans.body = ans.body[:min(n, len(ans.body))]
		c.send(ans)
	}}
}

// Garbage answers n random bytes with the CA's status and headers.
func Garbage(n int) Action {
	return Action{"garbage", func(c *call) {
		ans := c.forward()
		ans.body = make([]byte, n)
		c.p.mu.Lock()
		for i := range ans.body {
			ans.body[i] = byte(c.p.rng.Uint32())
		}
		c.p.mu.Unlock()
		c.send(ans)
	}}
}

// Fuzz alters the CA's answer with the mutator: other values, other types, other
// nesting, single bytes.
func Fuzz(m *Mutator) Action {
	return Action{"fuzz", func(c *call) {
		ans := c.forward()
		ans.body = m.Mutate(ans.body)
		c.send(ans)
	}}
}

// Forget answers as if the CA had lost the object, and never asks it.
func Forget() Action {
	return Action{"forget", func(c *call) {
		c.send(problem(http.StatusNotFound, "malformed", "no such object"))
	}}
}

// Hold makes an order stay in processing for n more reads once it is valid, each
// order by itself. It acts on finalize and on reads of the order: give it a rule
// without a Kind, or one for each of the two.
func Hold(n int) Action {
	return Action{fmt.Sprintf("hold %d polls", n), func(c *call) {
		ans := c.forward()
		var order map[string]any
		if (c.Kind == Order || c.Kind == Finalize) && json.Unmarshal(ans.body, &order) == nil &&
			(order["status"] == "valid" || order["status"] == "processing") && c.p.holds(c.order, n, c.Kind == Order) {
			order["status"] = "processing"
			delete(order, "certificate")
			ans.body, _ = json.Marshal(order)
		}
		c.send(ans)
	}}
}

// holds tells whether an order is still to be held, and counts a poll of it.
func (p *Proxy) holds(order string, n int, poll bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held[order] >= n {
		return false
	}
	if poll {
		p.held[order]++
	}
	return true
}
