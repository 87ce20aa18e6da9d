package crl

import (
	"context"
	"errors"
)

// abandoned tells whether who fetched was stopped from outside.
func (k *kept) abandoned() bool {
	return errors.Is(k.err, context.Canceled)
}

func (l *Lists) drop(k key, have *kept) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.kept[k] == have {
		delete(l.kept, k)
	}
}

// trim forgets lists, the oldest first, until what is kept is within bounds. The
// one that was just asked for stays.
func (l *Lists) trim(asked key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		entries, done := 0, 0
		var oldest *key
		for k, have := range l.kept {
			select {
			case <-have.done:
			default:
				continue // being fetched
			}
			done++
			if have.list != nil {
				entries += len(have.list.revoked)
			}
			if k != asked && (oldest == nil || have.fetched.Before(l.kept[*oldest].fetched)) {
				oldest = &k
			}
		}
		if oldest == nil || done <= maxKept && entries <= maxEntries {
			return
		}
		delete(l.kept, *oldest)
	}
}
