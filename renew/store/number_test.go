package store

import (
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/certvigil/certvigil/renew"
)

func TestAFolderWithAHugeNumberMakesTheNextNegative(t *testing.T) {
	huge := strconv.Itoa(math.MaxInt)
	for name, plant := range map[string]func(t *testing.T, s *Store){
		"a folder": func(t *testing.T, s *Store) {
			must(t, os.Mkdir(s.Path()+"/certs/www/versions/"+huge, 0o755))
		},
		"a folder, just beyond": func(t *testing.T, s *Store) {
			must(t, os.Mkdir(s.Dir("www", maxNumber+1), 0o755))
		},
		"a file": func(t *testing.T, s *Store) { write(t, s.Path()+"/certs/www/versions/"+huge, nil) },
		"the live link": func(t *testing.T, s *Store) {
			must(t, os.Symlink("../certs/www/versions/"+huge, s.LiveDir("www")))
		},
		"a hook's acknowledgement": func(t *testing.T, s *Store) {
			must(t, s.Record("www", renew.Journal{Hooks: map[string]renew.HookRecord{"nginx": {Acknowledged: math.MaxInt}, "other": {Acknowledged: -1}}}))
		},
		"a proof": func(t *testing.T, s *Store) {
			must(t, s.Record("www", renew.Journal{Proofs: []renew.Proof{{Version: math.MaxInt}, {Version: math.MinInt}}}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			mustCommit(t, s, "www", newBundle(t))
			plant(t, s)
			n := mustCommit(t, s, "www", newBundle(t))
			if n != 2 {
				t.Errorf("the next version is %d", n)
			}
			must(t, s.Link("www", n))
			if live, _, err := s.Live("www"); live != 2 || err != nil {
				t.Errorf("live is %d: %v", live, err)
			}
			must(t, s.Prune("www", 1))
			if got := numbersOf(t, s); len(got) != 1 || got[0] != 2 {
				t.Errorf("versions %v", got)
			}
		})
	}
}

// The last number that is believed is a version like any other, and the one
// after it is not given: it would never be read.
func TestTheLastNumberIsNotExceeded(t *testing.T) {
	s := newStore(t)
	mustCommit(t, s, "www", newBundle(t))
	must(t, os.Mkdir(s.Dir("www", maxNumber-1), 0o755))
	last := newBundle(t)
	if n := mustCommit(t, s, "www", last); n != maxNumber {
		t.Errorf("version %d", n)
	}
	if v := versionsOf(t, s, "www"); !v[len(v)-1].Usable() {
		t.Errorf("%+v", v)
	}
	if n := mustCommit(t, s, "www", last); n != maxNumber {
		t.Errorf("the same again is %d", n)
	}
	n, err := s.Commit("www", newBundle(t))
	if n != 0 || err == nil || !strings.Contains(err.Error(), filepath.Join(s.Path(), "certs/www")) {
		t.Errorf("version %d: %v", n, err)
	}
}
