package issue

import (
	"sync"
	"time"
)

// A nonce that was not used within this time is not worth a try: CAs forget
// them, and then the request must be signed and sent twice.
const (
	nonceAge  = 5 * time.Minute
	maxNonces = 2 * maxInFlight
)

// nonces is the pool of replay nonces (RFC 8555, section 6.5) that came with
// answers. The newest is used first.
type nonces struct {
	mu   sync.Mutex
	kept []nonce // oldest first
}

type nonce struct {
	value string
	at    time.Time
}

func (n *nonces) put(value string) {
	if value == "" || len(value) > 1024 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.kept) >= maxNonces {
		n.kept = append(n.kept[:0], n.kept[1:]...)
	}
	n.kept = append(n.kept, nonce{value, time.Now()})
}

func (n *nonces) take() (string, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.kept) == 0 {
		return "", false
	}
	last := n.kept[len(n.kept)-1]
	n.kept = n.kept[:len(n.kept)-1]
	if time.Since(last.at) > nonceAge {
		n.kept = n.kept[:0] // the others are older
		return "", false
	}
	return last.value, true
}

// keepNewest drops all but the newest: one was rejected, and with a CA that was
// restarted all of its age are as bad.
func (n *nonces) keepNewest() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.kept) > 1 {
		n.kept = append(n.kept[:0], n.kept[len(n.kept)-1])
	}
}
