package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/certvigil/certvigil/examples/stage"
	"github.com/certvigil/certvigil/renew/status"
)

// burst is what came of renewing all certificates at once.
type burst struct {
	took    time.Duration // from the first request to the last proof
	reloads int
	gap     time.Duration // the smallest between two reloads
	proved  series        // from "certificate issued" to "served", of each
	failed  int           // steps that had to be tried again
	shown   int           // certificates that a handshake from outside finds afterwards
}

func bursts(ctx context.Context, binary string, o options) (err error) {
	names := make(map[string][]string, o.certs)
	for i := range o.certs {
		name := fmt.Sprintf("site%04d", i)
		names[name] = []string{name + ".example.test"}
	}
	h, err := newHost(ctx, binary, names)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	began := time.Now()
	if err := h.Agent.Start(); err != nil {
		return err
	}
	settle, cancel := context.WithTimeout(ctx, settlingTime)
	defer cancel()
	if _, err := h.AwaitServed(settle, 0); err != nil {
		return err
	}
	fmt.Printf("%d certificates, each of a server block of its own, renewed at once; the first issuance took %s.\n\n",
		o.certs, time.Since(began).Round(time.Second))
	fmt.Println("| | all proved after | reloads | smallest gap | from issued to proved p50 | p99 | steps tried again | seen from outside |")
	fmt.Println("|---|---|---|---|---|---|---|---|")

	alone, err := renewAll(ctx, h)
	if err != nil {
		return err
	}
	alone.print("without load", o.certs)
	load, err := startLoad(ctx, h)
	if err != nil {
		return err
	}
	under, err := renewAll(ctx, h)
	handshakes, loadErr := load.end()
	if err := errors.Join(err, loadErr); err != nil {
		return err
	}
	under.print("under load", o.certs)
	fmt.Printf("\nLoad (wrk): %d connections with a handshake each, %d of them failed: %s\n", handshakes.made, handshakes.failed, handshakes.text)
	return nil
}

func (b burst) print(name string, certs int) {
	fmt.Printf("| %s | %.1f s | %d | %.2f s | %.1f s | %.1f s | %d | %d of %d |\n", name, b.took.Seconds(), b.reloads, b.gap.Seconds(),
		b.proved.at(50).Seconds(), b.proved.at(99).Seconds(), b.failed, b.shown, certs)
}

func renewAll(ctx context.Context, h *stage.Host) (b burst, err error) {
	before, err := hups(h)
	if err != nil {
		return b, err
	}
	// Whatever the burst before has left to do (ARI) is over by then.
	if err := stage.Pause(ctx, 2*hookSpacing); err != nil {
		return b, err
	}
	from, began, client := h.Agent.Log.End(), time.Now(), status.NewClient(h.Config.Socket)
	for _, c := range h.Config.Certs {
		if err := client.Renew(ctx, c.Name, true); err != nil {
			return b, err
		}
	}
	limited, cancel := context.WithTimeout(ctx, settlingTime)
	defer cancel()
	served, err := h.AwaitServed(limited, from)
	if err != nil {
		return b, err
	}
	issued := make(map[string]time.Time)
	events, _, _ := h.Agent.Log.Since(from)
	for _, e := range events {
		switch e.Msg {
		case "certificate issued":
			issued[e.Text("cert")] = e.Time
		case "step failed":
			b.failed++
		}
	}
	for _, e := range served {
		b.took = max(b.took, e.Time.Sub(began))
		b.proved = append(b.proved, e.Time.Sub(issued[e.Text("cert")]))
	}
	if b.shown, err = seen(ctx, h); err != nil {
		return b, err
	}
	after, err := hups(h)
	ran := after[len(before):]
	b.reloads = len(ran)
	var gaps series
	for i := 1; i < len(ran); i++ {
		gaps = append(gaps, ran[i].Sub(ran[i-1]))
	}
	if len(gaps) > 0 {
		b.gap = slices.Min(gaps)
	}
	return b, err
}

// seen counts the certificates that a handshake of our own finds to be those that
// lie there.
func seen(ctx context.Context, h *stage.Host) (n int, err error) {
	for _, c := range h.Config.Certs {
		pair, err := h.Pair(c.Name)
		if err != nil {
			return n, err
		}
		leaf, err := shown(ctx, h.Nginx.Address, c.Names[0])
		if err != nil {
			return n, err
		}
		if bytes.Equal(leaf, pair.Certificate[0]) {
			n++
		}
	}
	return n, nil
}
