package store

import (
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/keypair"
)

func numbersOf(t testing.TB, s *Store) []int {
	t.Helper()
	var numbers []int
	for _, v := range versionsOf(t, s, "www") {
		numbers = append(numbers, v.N)
	}
	return numbers
}

func TestCommitRefusesWhatIsNoPair(t *testing.T) {
	s, b, other := newStore(t), newBundle(t), newBundle(t)
	mixed := b
	mixed.Key = other.Key
	if _, err := s.Commit("www", mixed); err == nil {
		t.Error("a key and the certificate of another were kept")
	}
	mixed = b
	mixed.Meta = other.Meta
	if _, err := s.Commit("www", mixed); err == nil {
		t.Error("the meta of another certificate was kept")
	}
	if _, err := s.Commit("www", Bundle{Key: b.Key}); err == nil {
		t.Error("a key alone was kept")
	}
	if v := versionsOf(t, s, "www"); len(v) != 0 {
		t.Errorf("%+v", v)
	}
}

func TestCommitOfTheNewestAgainIsTheNewest(t *testing.T) {
	s, b := newStore(t), newBundle(t)
	first := mustCommit(t, s, "www", b)
	if again := mustCommit(t, s, "www", b); again != first {
		t.Errorf("versions %d and %d", first, again)
	}
	second := mustCommit(t, s, "www", newBundle(t))
	if back := mustCommit(t, s, "www", b); back != second+1 { // who goes back to an older pair means it
		t.Errorf("going back is version %d", back)
	}
}

func TestNumbersAreNeverGivenTwice(t *testing.T) {
	for name, lose := range map[string]func(t *testing.T, s *Store){
		"though the versions were pruned": func(t *testing.T, s *Store) { must(t, s.Prune("www", 1)) },
		"though the newest is torn": func(t *testing.T, s *Store) {
			must(t, os.Truncate(filepath.Join(s.Dir("www", 3), "privkey.pem"), 0))
		},
		"though only the link is left": func(t *testing.T, s *Store) {
			must(t, s.Link("www", 3))
			must(t, os.RemoveAll(s.Path()+"/certs/www"))
		},
		"though only what a hook acknowledged is left": func(t *testing.T, s *Store) {
			must(t, s.Record("www", renew.Journal{Hooks: map[string]renew.HookRecord{"nginx": {Acknowledged: 3}}}))
			must(t, os.RemoveAll(s.Path()+"/certs/www/versions"))
		},
		"though only a proof is left": func(t *testing.T, s *Store) {
			must(t, s.Record("www", renew.Journal{Proofs: []renew.Proof{{Version: 3}}}))
			must(t, os.RemoveAll(s.Path()+"/certs/www/versions"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			for range 3 {
				mustCommit(t, s, "www", newBundle(t))
			}
			lose(t, s)
			if n := mustCommit(t, s, "www", newBundle(t)); n != 4 {
				t.Errorf("version %d", n)
			}
		})
	}
}

func TestPruneKeepsTheLastAndWhatIsInUse(t *testing.T) {
	for name, c := range map[string]struct {
		keep  int
		spare []int
		live  int
		torn  []int
		want  []int
	}{
		"the last five":                        {5, nil, 0, nil, []int{4, 5, 6, 7, 8}},
		"the one that is live":                 {2, nil, 3, nil, []int{3, 7, 8}},
		"those that are served":                {2, []int{1, 5}, 0, nil, []int{1, 5, 7, 8}},
		"the newest that is whole":             {2, nil, 0, []int{6, 7, 8}, []int{5, 7, 8}},
		"the newest, though none is asked for": {0, nil, 0, nil, []int{8}},
		"all, where there are fewer":           {20, nil, 0, nil, []int{1, 2, 3, 4, 5, 6, 7, 8}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			for range 8 {
				mustCommit(t, s, "www", newBundle(t))
			}
			for _, n := range c.torn {
				must(t, os.Truncate(filepath.Join(s.Dir("www", n), "fullchain.pem"), 10))
			}
			if c.live > 0 {
				must(t, s.Link("www", c.live))
			}
			must(t, s.Prune("www", c.keep, c.spare...))
			if got := numbersOf(t, s); !slices.Equal(got, c.want) {
				t.Errorf("left %v, want %v", got, c.want)
			}
			if left := leftovers(t, s.Path()); len(left) > 0 {
				t.Errorf("leftovers %q", left)
			}
		})
	}
}

// A reader that opens the directory once never gets half of a pair, however
// often it is switched and pruned meanwhile.
func TestAReaderOfLiveNeverSeesAMixedPair(t *testing.T) {
	s := newStore(t)
	must(t, s.Link("www", mustCommit(t, s, "www", newBundle(t))))
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					readLive(t, s.LiveDir("www"))
				}
			}
		})
	}
	for range 20 {
		n := mustCommit(t, s, "www", newBundle(t))
		must(t, s.Link("www", n))
		must(t, s.Prune("www", 3))
	}
	close(done)
	readers.Wait()
}

func readLive(t testing.TB, dir string) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Error(err)
		return
	}
	defer root.Close()
	key, err1 := root.ReadFile("privkey.pem")
	chain, err2 := root.ReadFile("fullchain.pem")
	if err1 != nil || err2 != nil {
		return // pruned under our hands, which says so rather than be mixed
	}
	if _, err := keypair.Parse(key, chain); err != nil {
		t.Errorf("a mixed pair: %v", err)
	}
}
