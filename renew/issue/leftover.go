package issue

import (
	"slices"

	"github.com/go-acme/lego/v4/acme"
)

// clearAway removes what a crash left of an order's challenges in a document
// root. What is there is known by the order: the answers to authorizations that
// are decided. Those to pending ones are published once more, under the same
// names, and withdrawn when they are over.
//
// Whatever can't be asked for or removed stays: it does no harm, see withdraw.
func (a *attempt) clearAway(order acme.Order) {
	if a.solver.Type != "webroot" || !a.c.webroots.leftovers(a.solver.Path) {
		return
	}
	urls := slices.Compact(slices.Sorted(slices.Values(order.Authorizations)))
	all := make([]seen, min(len(urls), maxAuthorizations))
	for i := range all {
		all[i].url = urls[i]
	}
	a.each(all, a.look)
	for _, s := range all {
		if s.err != nil || s.authz.Status == acme.StatusPending {
			continue
		}
		for _, c := range s.authz.Challenges {
			if c.Type == http01 && tokens.MatchString(c.Token) {
				a.c.webroots.remove(a.solver.Path, c.Token)
			}
		}
	}
}

// leftovers tells whether files are there although nothing is published.
func (w *webroots) leftovers(path string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open[path] != nil {
		return false // some of the files are wanted; the next resume sees to the others
	}
	folder, err := openFolder(path)
	if err != nil {
		return false
	}
	defer folder.Close() // nothing is written through it
	dir, err := folder.Open(".")
	if err != nil {
		return false
	}
	defer dir.Close()
	names, err := dir.Readdirnames(1)
	return err == nil && len(names) > 0
}

// remove removes what was published for a token, or half written.
func (w *webroots) remove(path, token string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if folder, err := openFolder(path); err == nil {
		_ = folder.Remove(token)
		_ = folder.Remove(temporaryOf(token))
		_ = folder.Close()
	}
}

// temporaryOf is the name under which an answer is written. No token begins
// with a dot.
func temporaryOf(token string) string { return "." + token + ".tmp" }
