package install

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/store"
)

// state is how a file stands, the worst last.
type state int

const (
	inPlace      state = iota
	otherAccess        // owner, group, mode or access list
	otherContent       // or missing, or not to be read
)

// finding is how a file stands, and what differs.
type finding struct {
	state  state
	detail string
}

// Check tells whether an output holds the pair: InstallPending where a file is
// missing, has another content or can't be read, Drift where only owner, group,
// mode or access list differ from what is configured. Detail lists all that
// differs. Of a file with a password that nobody gave, the content is taken to
// be right.
func Check(o renew.Output, b store.Bundle) renew.OutputState {
	var result renew.OutputState
	if paths := o.Paths(); len(paths) > 0 {
		result.Path = paths[0]
	}
	worst := inPlace
	var details []string
	for _, found := range look(o, b) {
		worst = max(worst, found.state)
		if found.detail != "" {
			details = append(details, found.detail)
		}
	}
	switch worst {
	case inPlace:
		result.InPlace = true
	case otherAccess:
		result.Reason = renew.Drift
	case otherContent:
		result.Reason = renew.InstallPending
	}
	result.Detail = strings.Join(details, "; ")
	return result
}

func look(o renew.Output, b store.Bundle) []finding {
	all, err := files(o, b.StateDir)
	var want access
	if err == nil {
		want, err = accessOf(o)
	}
	if err != nil {
		return []finding{{otherContent, err.Error()}}
	}
	dirs := &folders{owner: want.uid, reading: true}
	defer dirs.close()
	if o.Directory != "" {
		return lookInto(dirs, o, all, want, b)
	}
	var found []finding
	for _, f := range all {
		folder, err := dirs.open(filepath.Dir(f.path))
		if err != nil {
			found = append(found, finding{otherContent, err.Error()})
			continue
		}
		found = append(found, f.look(folder, want, b))
	}
	return found
}

// ChangedAt tells when a file of the output last changed in any way, its owner
// and mode included; zero where none of them exists.
func ChangedAt(o renew.Output) time.Time {
	var latest time.Time
	for _, path := range o.Paths() {
		st, err := os.Lstat(path)
		if err != nil {
			continue // Check says so
		}
		if changed := changedAt(st); changed.After(latest) {
			latest = changed
		}
	}
	return latest
}
