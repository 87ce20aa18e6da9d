package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/certvigil/certvigil/examples/stage"
	"github.com/certvigil/certvigil/renew/status"
)

const (
	fewestRounds = 5
	lookEvery    = 5 * time.Millisecond // by hand
	inARow       = 64                   // handshakes by hand with the new one, after which no old one is expected
	hookSpacing  = 5 * time.Second      // the agent's own, for a certificate alone not to wait for it
	agentName    = "www.example.test"
	byHandName   = "hand.example.test"
)

// row is what was measured with one number of server blocks.
type row struct {
	first, last series // by hand, from the HUP: the first handshake with the new certificate, the last with the old
	hup, proved series // by the agent, from the new version's files: its HUP, the proof
	ours        series // of each round, what was not nginx's time in the same reload
	missed      int    // rounds in which the proof took a second reload
}

func reloads(ctx context.Context, binary string, o options) error {
	fmt.Println("One certificate renewed (milliseconds). By hand: from HUP. certvigil: from the new version's files.")
	fmt.Println()
	fmt.Println("| server blocks | rounds | nginx: first new p50 | p99 | last old p50 | p99 | certvigil: HUP p50 | p99 | proved p50 | p99 | difference p50 | p99 | our share p50 | p99 |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|")
	var missed []string
	for _, sites := range o.sites {
		r, err := reload(ctx, binary, sites, o.during)
		if err != nil {
			return err
		}
		fmt.Printf("| %d | %d | %d | %d | %d | %d | %d | %d | %d | %d | %d | %d | %d | %d |\n", sites, len(r.proved),
			ms(r.first.at(50)), ms(r.first.at(99)), ms(r.last.at(50)), ms(r.last.at(99)), ms(r.hup.at(50)), ms(r.hup.at(99)),
			ms(r.proved.at(50)), ms(r.proved.at(99)), ms(r.proved.over(r.first, 50)), ms(r.proved.over(r.first, 99)),
			ms(r.ours.at(50)), ms(r.ours.at(99)))
		if r.missed > 0 {
			missed = append(missed, fmt.Sprintf("%d server blocks: %d rounds took a second reload", sites, r.missed))
		}
	}
	fmt.Println()
	for _, m := range missed {
		fmt.Println(m)
	}
	return nil
}

func reload(ctx context.Context, binary string, sites int, during time.Duration) (r row, err error) {
	h, err := newHost(ctx, binary, map[string][]string{"www": {agentName}})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	if err := neighbours(h, sites); err != nil {
		return r, err
	}
	if err := h.Agent.Start(); err != nil {
		return r, err
	}
	settle, cancel := context.WithTimeout(ctx, settlingTime)
	defer cancel()
	if _, err := h.AwaitServed(settle, 0); err != nil {
		return r, err
	}
	for end := time.Now().Add(during); len(r.proved) < fewestRounds || time.Now().Before(end); {
		for _, renew := range []func(context.Context, *stage.Host) error{r.byHand, r.byAgent} {
			// Old workers are gone by then, and the hook may run at once.
			if err := stage.Pause(ctx, hookSpacing); err != nil {
				return r, err
			}
			if err := renew(ctx, h); err != nil {
				return r, err
			}
		}
	}
	return r, nil
}

// neighbours are all server blocks but the agent's: the one that is reloaded by
// hand, and the many that share a pair.
func neighbours(h *stage.Host, sites int) error {
	if _, err := writePair(filepath.Join(h.Dir, "hand"), byHandName); err != nil {
		return err
	}
	if _, err := writePair(filepath.Join(h.Dir, "others"), "others.example.test"); err != nil {
		return err
	}
	var text strings.Builder
	block := func(name, pair string) {
		fmt.Fprintf(&text, "server { listen %s ssl; server_name %s; ssl_certificate %s/fullchain.pem; ssl_certificate_key %s/privkey.pem; return 204; }\n",
			h.Nginx.Address, name, filepath.Join(h.Dir, pair), filepath.Join(h.Dir, pair))
	}
	block(byHandName, "hand")
	for i := range sites - 2 {
		block(fmt.Sprintf("n%d.example.test", i), "others")
	}
	return h.Nginx.EnableText("neighbours", text.String())
}

// byHand reloads the block that is no affair of the agent's, and looks at it all
// the while.
func (r *row) byHand(ctx context.Context, h *stage.Host) error {
	leaf, err := writePair(filepath.Join(h.Dir, "hand"), byHandName)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := syscall.Kill(h.Nginx.PID(), syscall.SIGHUP); err != nil {
		return err
	}
	var first, last time.Duration
	for row := 0; row < inARow; {
		asked := time.Since(began)
		now, err := shown(ctx, h.Nginx.Address, byHandName)
		switch {
		case err != nil:
			return fmt.Errorf("looking at nginx: %w", err)
		case !bytes.Equal(now, leaf):
			row, last = 0, asked
		case first == 0:
			first = time.Since(began)
			fallthrough
		default:
			row++
		}
		if err := stage.Pause(ctx, lookEvery); err != nil {
			return err
		}
	}
	r.first, r.last = append(r.first, first), append(r.last, last)
	return nil
}

// byAgent has the agent renew its own, and reads in its log when that was proved.
// It is looked at all the while, too: so nginx's part of the same reload is known.
func (r *row) byAgent(ctx context.Context, h *stage.Host) error {
	from := h.Agent.Log.End()
	before, err := hups(h)
	if err != nil {
		return err
	}
	if err := status.NewClient(h.Config.Socket).Renew(ctx, "www", true); err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, settlingTime)
	defer cancel()
	first := make(chan time.Time, 1)
	go func() { first <- changed(limited, h.Nginx.Address, agentName) }()
	served, _, err := h.Agent.Await(limited, from, stage.Message("served", "www"))
	if err != nil {
		return err
	}
	after, err := hups(h)
	if err != nil {
		return err
	}
	if len(after) > len(before)+1 {
		r.missed++
	}
	file, err := os.Stat(filepath.Join(h.Config.StateDir, "live", "www", "fullchain.pem"))
	if err != nil {
		return err
	}
	there, hup := file.ModTime(), after[len(before)]
	r.hup = append(r.hup, hup.Sub(there))
	r.proved = append(r.proved, served.Time.Sub(there))
	r.ours = append(r.ours, served.Time.Sub(there)-(<-first).Sub(hup))
	return nil
}

// changed returns when the first handshake for name showed another certificate
// than is shown now.
func changed(ctx context.Context, address, name string) time.Time {
	old, err := shown(ctx, address, name)
	for err == nil {
		var now []byte
		if now, err = shown(ctx, address, name); err == nil && !bytes.Equal(now, old) {
			break
		}
		err = errors.Join(err, stage.Pause(ctx, lookEvery))
	}
	return time.Now()
}
