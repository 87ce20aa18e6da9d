package faultproxy

import "slices"

// Rule does something to some calls. An empty field matches every call.
type Rule struct {
	Kind    Kind
	Name    string // an identifier of the order that the call is about
	Account string // URL of the account that signed it
	From    int    // the first matching call that it acts on, counted from 1; 0 means the first
	Times   int    // on how many it acts from there on; 0 means on all
	Do      Action
}

// counted is a rule and the calls that it matched.
type counted struct {
	Rule
	seen int
}

func (r *counted) matches(e Event) bool {
	return (r.Kind == "" || r.Kind == e.Kind) &&
		(r.Name == "" || slices.Contains(e.Names, r.Name)) &&
		(r.Account == "" || r.Account == e.Account)
}

// acts counts a matching call and tells whether it is one of those to act on.
func (r *counted) acts() bool {
	r.seen++
	first := max(r.From, 1)
	return r.seen >= first && (r.Times == 0 || r.seen < first+r.Times)
}

// pick returns the action of the first rule that acts on c. Those after it do not
// count the call. A dead client's call is dropped.
func (p *Proxy) pick(c *call) (Action, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.r.Context().Value(lifeKey{}) != p.lives {
		return Drop(), true
	}
	for _, r := range p.rules {
		if r.matches(c.Event) && r.acts() {
			return r.Do, true
		}
	}
	return Action{}, false
}
