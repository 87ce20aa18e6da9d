package agent

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/config"
)

// Report is what status prints, and its JSON form: fields are added, never
// renamed.
type Report struct {
	Version      string       `json:"version"`
	Running      bool         `json:"running"` // false: read from the state directory, no agent runs
	Config       ConfigReport `json:"config"`
	Certificates []CertReport `json:"certificates"`
	Watched      []struct{}   `json:"watched"`
}

// ConfigReport says which configuration is in force, and what is wrong with the
// one on disk where that could not be taken.
type ConfigReport struct {
	Path     string    `json:"path"`
	LoadedAt time.Time `json:"loaded_at"`
	Error    *string   `json:"error"`
}

// CertReport is one certificate's life at a glance.
type CertReport struct {
	Name        string            `json:"name"`
	Names       []string          `json:"names"`
	Stage       renew.Stage       `json:"stage"`
	Health      renew.Level       `json:"health"`
	Reason      renew.Reason      `json:"reason"`
	Findings    []renew.Finding   `json:"findings"`
	Issuer      string            `json:"issuer"`
	Serial      string            `json:"serial"`
	Fingerprint string            `json:"fingerprint_sha256"`
	NotBefore   time.Time         `json:"not_before"`
	NotAfter    time.Time         `json:"not_after"`
	Version     int               `json:"version"`
	Live        int               `json:"live"`
	Busy        renew.Do          `json:"busy,omitempty"` // the step under way
	Next        renew.Step        `json:"next"`
	Failure     *FailureReport    `json:"failure"`
	Hooks       []HookReport      `json:"hooks"`
	Endpoints   []EndpointReport  `json:"endpoints"`
	Copies      []renew.StaleCopy `json:"stale_copies,omitempty"` // of a certificate with endpoint "auto"
	Preflight   PreflightReport   `json:"preflight"`
}

// FailureReport is the failure that stands in the way of the earliest stage.
type FailureReport struct {
	Stage   renew.Do    `json:"stage"`
	Class   renew.Class `json:"class"`
	Message string      `json:"message"`
	Count   int         `json:"count"`
	Since   time.Time   `json:"since"`
	Next    time.Time   `json:"next"`
}

// HookReport is one hook of one certificate.
type HookReport struct {
	Name         string    `json:"name"`
	Acknowledged int       `json:"acknowledged"`
	LastError    string    `json:"last_error"`
	WaitsUntil   time.Time `json:"waits_until,omitzero"` // when its window opens, where it waits for that
}

// EndpointReport is what one endpoint answered for one name, which is empty where
// it is asked for none. CheckedAt is zero where it was not asked for this version
// yet.
type EndpointReport struct {
	Address      string    `json:"address"`
	Name         string    `json:"name"`
	Served       bool      `json:"served"`
	Unverifiable bool      `json:"unverifiable,omitempty"`
	Fingerprint  string    `json:"fingerprint_sha256"`
	NotAfter     time.Time `json:"not_after"`
	CheckedAt    time.Time `json:"checked_at"`
	Untrusted    string    `json:"untrusted,omitempty"`
	Error        string    `json:"error"`
	// OlderConnections is how many connections at the address were, when it was
	// looked at, from before the last reload, whichever name they asked for.
	OlderConnections int    `json:"older_connections,omitempty"`
	Auto             bool   `json:"auto,omitempty"`    // not configured, but found
	Process          string `json:"process,omitempty"` // whose it is, where it was found
}

// Worst returns the worst health of all certificates; a configuration that
// could not be taken is worth attention too.
func (r Report) Worst() renew.Level {
	worst := renew.OK
	if r.Config.Error != nil {
		worst = renew.Attention
	}
	for _, c := range r.Certificates {
		worst = worst.Worse(c.Health)
	}
	return worst
}

// Report describes every certificate as the last look saw it.
func (a *Agent) Report(now time.Time) []CertReport {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := make([]CertReport, 0, len(a.entries))
	for _, c := range a.config.Certs {
		e, ok := a.entries[c.Name]
		if !ok {
			continue
		}
		r := Describe(now, c, e.facts)
		if e.busy != look {
			r.Busy = e.busy
		}
		if f, ok := e.slow(now); ok {
			r.add(f)
		}
		if e.err != "" {
			r.Health, r.Reason = renew.Critical, renew.Unreadable
			r.Findings = append([]renew.Finding{{Level: renew.Critical, Reason: renew.Unreadable, Detail: e.err}}, r.Findings...)
		}
		list = append(list, r)
	}
	return list
}

// slowHook is how long a step's hooks may take without a word in the report:
// nginx with 5,000 sites takes 14 s on a busy machine.
const slowHook = 20 * time.Second

// slow is what is to be said of hooks that have not returned yet: until their
// timeout nothing has failed, and nothing is served.
func (e *entry) slow(now time.Time) (renew.Finding, bool) {
	took := now.Sub(e.since)
	if e.busy != renew.Deploy || took < slowHook {
		return renew.Finding{}, false
	}
	return renew.Finding{
		Level: renew.Attention, Reason: renew.HookFailing,
		Detail: fmt.Sprintf("%s has not returned for %s; it is ended at its timeout",
			strings.Join(renew.DueHooks(e.since, &e.cert, &e.facts), ", "), took.Round(time.Second)),
	}, true
}

// add puts a finding of attention before those that are no worse.
func (r *CertReport) add(f renew.Finding) {
	if r.Health == renew.Critical {
		r.Findings = append(r.Findings, f)
		return
	}
	r.Health, r.Reason = f.Level, f.Reason
	r.Findings = append([]renew.Finding{f}, r.Findings...)
}

// Offline describes every certificate of cfg from st alone, with no agent's help.
func Offline(now time.Time, st Store, cfg *config.Config) []CertReport {
	list := make([]CertReport, 0, len(cfg.Certs))
	for _, c := range cfg.Certs {
		f, err := Gather(now, st, cfg, c)
		r := Describe(now, c, f)
		if err != nil {
			r.Health, r.Reason = renew.Critical, renew.Unreadable
			r.Findings = append(r.Findings, renew.Finding{Level: renew.Critical, Reason: renew.Unreadable, Detail: err.Error()})
		}
		list = append(list, r)
	}
	return list
}

// Describe turns a certificate and its facts into its report.
func Describe(now time.Time, c renew.Cert, f renew.Facts) CertReport {
	v := renew.Health(now, &c, &f)
	r := CertReport{
		Name: c.Name, Names: c.Names, Stage: renew.StageOf(&c, &f), Health: v.Level, Reason: v.Reason(),
		Findings: append([]renew.Finding{}, v.Findings...),
		Issuer:   f.Held.Issuer, Serial: f.Held.Serial, Fingerprint: f.Held.Fingerprint,
		NotBefore: f.Held.NotBefore, NotAfter: f.Held.NotAfter, Version: f.Held.N, Live: f.Live,
		Next: headline(now, c, f), Failure: firstFailure(c, f), Preflight: describePreflight(now, c, f), Hooks: []HookReport{}, Endpoints: []EndpointReport{},
	}
	r.Copies = renew.Copies(now, &c, &f)
	for _, h := range c.Hooks {
		rec := f.Journal.Hooks[h]
		r.Hooks = append(r.Hooks, HookReport{Name: h, Acknowledged: rec.Acknowledged, LastError: rec.Trouble.Message})
	}
	for _, w := range renew.HookWaits(now, &c, &f) {
		r.Hooks[slices.Index(c.Hooks, w.Hook)].WaitsUntil = w.Until
	}
	for p := range renew.LiveProofs(&c, &f) {
		r.Endpoints = append(r.Endpoints, EndpointReport{
			Address: p.Address, Name: p.Name, Served: p.Served, Unverifiable: p.Unverifiable,
			Fingerprint: p.Fingerprint, NotAfter: p.NotAfter, CheckedAt: p.CheckedAt, Untrusted: p.Untrusted, Error: p.Error,
			OlderConnections: p.OlderConnections,
		})
		if place, ok := renew.FoundAt(&c, &f, p); ok {
			last := &r.Endpoints[len(r.Endpoints)-1]
			last.Auto, last.Process = true, place.Process
		}
	}
	return r
}

// quiet tells whether s is one of those that go on all the time, and are nobody's
// news.
func quiet(s renew.Step) bool {
	switch s.Do {
	case renew.Advise, renew.LookUp, renew.Preflight, renew.Discover, renew.Enroll:
		return true
	default:
		return s.Do == renew.Verify && s.Reason == renew.ProofDue
	}
}

// headline is the next step that changes something: looking at endpoints and
// asking the CA go on all the time and are nobody's news.
func headline(now time.Time, c renew.Cert, f renew.Facts) renew.Step {
	next := renew.Decide(now, &c, &f)
	if !quiet(next) && next.Do != renew.Verify && next.Do != renew.Wait {
		return next
	}
	for _, s := range renew.Ahead(now, &c, &f) {
		if !quiet(s) && (quiet(next) || s.At.Before(next.At)) {
			next = s
		}
	}
	return next
}

func firstFailure(c renew.Cert, f renew.Facts) *FailureReport {
	j, issue := f.Journal, renew.WorstIssuer(&c, &f.Journal)
	report := func(stage renew.Do, t renew.Trouble) *FailureReport {
		return &FailureReport{stage, t.Class, t.Message, t.Count, t.Since, t.RetryAt}
	}
	switch {
	case issue.Count > 0:
		return report(renew.Issue, issue)
	case j.Install.Count > 0:
		return report(renew.Install, j.Install)
	}
	for _, h := range c.Hooks {
		if t := j.Hooks[h].Trouble; t.Count > 0 {
			return report(renew.Deploy, t)
		}
	}
	if j.Verify.Count > 0 {
		return report(renew.Verify, j.Verify)
	}
	if j.Advise.Count > 0 {
		return report(renew.Advise, j.Advise)
	}
	return nil
}
