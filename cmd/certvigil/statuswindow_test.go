package main

import (
	"strings"
	"testing"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/agent"
)

func TestStatusShowsWhichWindowAHookWaitsFor(t *testing.T) {
	var b strings.Builder
	printFindings(&b, agent.CertReport{Name: "www", Health: renew.OK, Findings: []renew.Finding{
		{Level: renew.OK, Reason: renew.WindowShut, Detail: `hook nginx waits for its window "Sat 02:00-05:00", which opens 2026-05-02T02:00:00Z`},
		{Level: renew.OK, Reason: renew.FailedOver, Detail: "nobody's news"},
	}})
	if got, want := b.String(), "\nwww: window: hook nginx waits for its window \"Sat 02:00-05:00\", which opens 2026-05-02T02:00:00Z\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}
