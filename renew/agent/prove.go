package agent

import (
	"context"
	"slices"
	"sync"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/probe"
)

// mostAddresses is how many addresses of one certificate are asked at once.
const mostAddresses = 8

// prove asks all endpoints of the certificate, and returns their proofs in the
// order of the endpoints. Several at one address are asked one after the other:
// mail servers count connections.
func (j *job) prove(ctx context.Context, want probe.Want) []renew.Proof {
	endpoints := renew.Endpoints(&j.cert, &j.facts)
	proofs := make([][]renew.Proof, len(endpoints))
	began := j.clock() // of all endpoints: it is the time since the reload that counts
	apart(byAddress(endpoints), func(places []int) {
		for _, i := range places {
			e := endpoints[i]
			until := began.Add(j.patience(e))
			proofs[i] = j.parts.Prober.Prove(ctx, e, e.NamesOr(j.cert.Names), j.facts.Live, want, max(0, until.Sub(j.clock())))
		}
	})
	if len(proofs) == 1 {
		return proofs[0]
	}
	return slices.Concat(proofs...)
}

// byAddress groups the places of endpoints that have the same address.
func byAddress(endpoints []renew.Endpoint) (groups [][]int) {
	at := make(map[string]int)
	for i, e := range endpoints {
		g, ok := at[e.Address]
		if !ok {
			g = len(groups)
			at[e.Address] = g
			groups = append(groups, nil)
		}
		groups[g] = append(groups[g], i)
	}
	return groups
}

// apart calls do for each group, for mostAddresses at once, and returns when all
// have ended. One alone stays in this goroutine. A panic becomes the caller's, who
// makes it the trouble of one certificate.
func apart(groups [][]int, do func([]int)) {
	if len(groups) == 1 {
		do(groups[0])
		return
	}
	var (
		all   sync.WaitGroup
		slots = make(chan struct{}, mostAddresses)
		mu    sync.Mutex // guards fatal
		fatal any
	)
	for _, g := range groups {
		slots <- struct{}{}
		all.Go(func() {
			defer func() {
				if r := recover(); r != nil {
					mu.Lock()
					fatal = r
					mu.Unlock()
				}
				<-slots
			}()
			do(g)
		})
	}
	all.Wait()
	if fatal != nil {
		panic(fatal)
	}
}
