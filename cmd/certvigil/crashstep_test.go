package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"github.com/certvigil/certvigil/renew"
)

// crashStep is a step from a decision to a certificate that is served, at the end
// of which a fault strikes. One of the three says when that is.
type crashStep struct {
	name string
	// lose is how many orders this may cost: one that nobody could note, or whose
	// validation found nobody; loseFailing where it is the disk that fails.
	lose, loseFailing int

	disk    func(p crashPlan, op, name string) bool // in the agent: before a change, or when a name became durable
	request string                                  // at the CA: before it hears of it, or, with acted, after
	acted   bool
	where   place // elsewhere
}

// place is where else a step is seen.
type place int

const (
	nowhere place = iota
	inHook        // once the hook has reloaded the server
	inProof       // at the first handshake that shows the new certificate
)

const orderFolder, journalFile = "state/certs/www/order", "state/certs/www/journal.json"

// crashSteps, in their order.
var crashSteps = []crashStep{
	{name: "S1 decided", disk: is("mkdir", orderFolder+".tmp")},
	{name: "S2 key and intent noted", disk: is("durable", orderFolder), loseFailing: 1},
	{name: "S3 order placed, reply lost", request: toOrder, acted: true, lose: 1, loseFailing: 1},
	{name: "S4 order's URL noted", disk: is("durable", orderFolder+"/order.json")},
	{name: "S5 challenge published", request: toChallenge},
	{name: "S6 challenge accepted", request: toChallenge, acted: true, lose: 1},
	{name: "S7 finalized, reply lost", request: toFinalize, acted: true},
	{name: "S8 certificate not downloaded", request: toDownload},
	{name: "S9 certificate in memory", disk: is("mkdir", "state/certs/www/versions/*.tmp")},
	{name: "S10 version complete", disk: is("durable", "state/certs/www/versions/*")},
	{name: "S11 live link switched", disk: is("durable", "state/live/www")},
	{name: "S11 outputs half switched", disk: is("rename", "out/www.crt")},
	{name: "S12 reloaded", where: inHook},
	{name: "S13 looked at", where: inProof},
	{name: "S14 proof noted", disk: proofNoted},
}

// cost is how many orders may be lost.
func (s crashStep) cost(fault string) int {
	if fault == faultFull || fault == faultBroken {
		return s.loseFailing
	}
	return s.lose
}

func stepNamed(name string) crashStep {
	for _, s := range crashSteps {
		if s.name == name {
			return s
		}
	}
	return crashStep{}
}

// is tells of a change whose path is like that.
func is(op, pattern string) func(p crashPlan, op, name string) bool {
	return func(_ crashPlan, happened, name string) bool {
		like, _ := filepath.Match(pattern, name) // the patterns are constants
		unfinished := strings.HasSuffix(name, ".tmp") && !strings.HasSuffix(pattern, ".tmp")
		return op == happened && like && !unfinished
	}
}

// proofNoted tells that the journal knows that the new version is served.
func proofNoted(p crashPlan, op, name string) bool {
	if op != "durable" || name != journalFile {
		return false
	}
	var j renew.Journal
	text, err := os.ReadFile(filepath.Join(p.Base, name))
	return err == nil && json.Unmarshal(text, &j) == nil &&
		len(j.Proofs) > 0 && j.Proofs[0].Served && j.Proofs[0].Version >= p.Version
}
