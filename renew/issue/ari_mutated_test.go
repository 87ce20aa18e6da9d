package issue

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/issue/faultproxy"
)

// backstopOf is when a certificate is renewed at the latest, worked out without the
// agent: with a third of its lifetime left, half under ten days.
func backstopOf(v renew.Version) time.Time {
	life := v.NotAfter.Sub(v.NotBefore)
	if life < 10*24*time.Hour {
		return v.NotBefore.Add(life / 2)
	}
	return v.NotAfter.Add(-life / 3)
}

// Ten thousand answers about renewal, altered in whatever way, with whatever status
// and Retry-After: none makes the agent panic, renew later than its own backstop,
// or stop asking.
func TestAlteredAdviceNeverPutsARenewalOff(t *testing.T) {
	const answers = 10000
	noon := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	m, rng := faultproxy.NewMutator(1), rand.New(rand.NewPCG(1, 2))
	shapes := faultproxy.Shapes()
	statuses := []int{200, 200, 200, 200, 200, 200, 201, 301, 404, 429, 500, 503}
	windows, earlier := 0, 0
	for i := range answers {
		life := []time.Duration{time.Hour, 6 * 24 * time.Hour, 45 * 24 * time.Hour, 90 * 24 * time.Hour}[i%4]
		held := renew.Version{
			N: 1, CertID: "a.b", Names: []string{"a.example.com"}, KeyType: renew.EC256,
			NotBefore: noon.Add(-life / 10), NotAfter: noon.Add(life - life/10), IssuedAt: noon.Add(-life / 10),
		}
		ideal := backstopOf(held)
		body := m.Mutate(fmt.Appendf(nil, `{"suggestedWindow":{"start":%q,"end":%q},"explanationURL":"https://ca.example/a"}`,
			ideal.Add(-life/100).Format(time.RFC3339), ideal.Add(life/100).Format(time.RFC3339)))
		answer := &http.Response{StatusCode: statuses[rng.IntN(len(statuses))], Header: http.Header{}}
		answer.Header["Retry-After"] = shapes[rng.IntN(len(shapes))].Values(noon)
		advice, err := interpret(answer, body, held, noon)
		if err != nil {
			continue // the agent keeps what it had
		}
		if d := advice.PollAt.Sub(noon); d < time.Second || d > maxAdvice {
			t.Fatalf("%d %q: asked again in %s", answer.StatusCode, body, d)
		}
		if !advice.Start.IsZero() {
			advice.Chosen = renew.Draw(held, advice.Start, advice.End, rng.Float64())
			windows++
		}
		cert := renew.Cert{Name: "www", Names: held.Names, KeyType: held.KeyType, ARI: true}
		step, ok := renew.Renewal(noon, &cert, &renew.Facts{
			Newest: held, Held: held, Live: 1, Journal: renew.Journal{Advice: advice},
		})
		if !ok || step.At.After(ideal.Add(time.Second)) {
			t.Fatalf("%d %q: renewed at %s (%s), not by %s", answer.StatusCode, body, step.At, step.Reason, ideal)
		}
		if step.At.Before(ideal.Add(-time.Second)) {
			earlier++
		}
	}
	if windows < answers/20 || earlier == 0 {
		t.Errorf("of %d answers %d had a window and %d made a renewal earlier: too few to say anything", answers, windows, earlier)
	}
	t.Logf("%d answers, %d with a window, %d renewals brought forward, none put off", answers, windows, earlier)
}
