package store

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestLinkReplacesWhateverStandsThere(t *testing.T) {
	for name, before := range map[string]func(t *testing.T, live string){
		"nothing":         func(*testing.T, string) {},
		"a dangling link": func(t *testing.T, live string) { must(t, os.Symlink("../certs/www/versions/99", live)) },
		"someone else's":  func(t *testing.T, live string) { must(t, os.Symlink("/etc/ssl", live)) },
		"an absolute one": func(t *testing.T, live string) {
			must(t, os.Symlink(filepath.Dir(live)+"/../certs/www/versions/1", live))
		},
		"a file":             func(t *testing.T, live string) { write(t, live, []byte("x")) },
		"a link to a file":   func(t *testing.T, live string) { must(t, os.Symlink("../lock", live)) },
		"a leftover of ours": func(t *testing.T, live string) { must(t, os.Symlink("x", filepath.Dir(live)+"/.www.tmp")) },
		"a directory": func(t *testing.T, live string) {
			must(t, os.Mkdir(live, 0o755))
			write(t, live+"/privkey.pem", []byte("precious"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			n := mustCommit(t, s, "www", newBundle(t))
			before(t, s.LiveDir("www"))
			if got, _, err := s.Live("www"); got != 0 || err != nil {
				t.Errorf("before: %d, %v", got, err)
			}
			must(t, s.Link("www", n))
			got, changedAt, err := s.Live("www")
			if got != n || err != nil || time.Since(changedAt) > time.Minute {
				t.Errorf("live is %d since %v: %v", got, changedAt, err)
			}
			if text, err := os.Readlink(s.LiveDir("www")); text != "../certs/www/versions/1" {
				t.Errorf("the link says %q: %v", text, err)
			}
			if left := leftovers(t, s.Path()); len(left) > 0 {
				t.Errorf("leftovers %q", left)
			}
		})
	}
}

func TestLinkMovesADirectoryAsideAndDeletesNothing(t *testing.T) {
	s := newStore(t)
	n := mustCommit(t, s, "www", newBundle(t))
	for _, content := range []string{"first", "second"} {
		must(t, os.RemoveAll(s.LiveDir("www")))
		must(t, os.Mkdir(s.LiveDir("www"), 0o755))
		write(t, s.LiveDir("www")+"/privkey.pem", []byte(content))
		must(t, s.Link("www", n))
	}
	for k, want := range map[string]string{"1": "first", "2": "second"} {
		got, err := os.ReadFile(s.Path() + "/live/.www.foreign-" + k + "/privkey.pem")
		if string(got) != want {
			t.Errorf("%s: %q, %v", k, got, err)
		}
	}
}

func TestLinkRefusesAVersionThatIsNotThere(t *testing.T) {
	s := newStore(t)
	n := mustCommit(t, s, "www", newBundle(t))
	must(t, s.Link("www", n))
	if err := s.Link("www", n+1); err == nil {
		t.Error("linked")
	}
	if live, _, _ := s.Live("www"); live != n {
		t.Errorf("live is %d", live)
	}
}

func TestLiveTellsNothingWhereThereIsNothing(t *testing.T) {
	s := newStore(t)
	if n, changedAt, err := s.Live("www"); n != 0 || !changedAt.IsZero() || err != nil {
		t.Error(n, changedAt, err)
	}
	n := mustCommit(t, s, "www", newBundle(t))
	must(t, s.Link("www", n))
	must(t, os.RemoveAll(s.Dir("www", n)))
	if n, changedAt, err := s.Live("www"); n != 0 || changedAt.IsZero() || err != nil {
		t.Error("dangling:", n, changedAt, err)
	}
}
