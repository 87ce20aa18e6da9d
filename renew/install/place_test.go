package install

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/certvigil/certvigil/renew"
)

// aliased makes a directory, and a symlink to it beside it.
func aliased(t *testing.T) (realDir, alias string) {
	t.Helper()
	dir := newDir(t)
	must(t, os.Mkdir(dir+"/real", 0o755))
	must(t, os.Symlink("real", dir+"/alias"))
	return dir + "/real", dir + "/alias"
}

func TestOneFileNamedTwiceThroughAnAliasIsRewrittenForEver(t *testing.T) {
	realDir, alias := aliased(t)
	o := renew.Output{Fullchain: realDir + "/site.crt", Cert: alias + "/site.crt"}
	err := Write(o, newPair)
	if err == nil || !strings.Contains(err.Error(), "named for two of the parts") || !strings.Contains(err.Error(), o.Cert) {
		t.Errorf("%v", err)
	}
	if state := Check(o, newPair); state.InPlace || !strings.Contains(state.Detail, "named for two of the parts") {
		t.Errorf("%+v", state)
	}
	if entries, err := os.ReadDir(realDir); len(entries) > 0 || err != nil {
		t.Errorf("written all the same: %v, %v", entries, err)
	}
}

func TestAnOutputBelowTheStateDirectoryCorruptsAVersion(t *testing.T) {
	for name, arrange := range map[string]func(t *testing.T, state, dir string) (parent string){
		"by its own path": func(t *testing.T, state, dir string) string { return state + "/live/www" },
		"through a symlink on the way": func(t *testing.T, state, dir string) string {
			must(t, os.Symlink(state, dir+"/alias"))
			return dir + "/alias/live/www"
		},
		"through a symlink to the end of it": func(t *testing.T, state, dir string) string {
			must(t, os.Symlink(state+"/certs/www/versions/1", dir+"/alias"))
			return dir + "/alias"
		},
		"in a folder that is not there yet": func(t *testing.T, state, dir string) string {
			must(t, os.Symlink(state, dir+"/alias"))
			return dir + "/alias/certs/mail"
		},
		"through a symlink that dangles": func(t *testing.T, state, dir string) string {
			must(t, os.Symlink("state/certs/mail", dir+"/alias"))
			return dir + "/alias"
		},
		"in the directory itself": func(t *testing.T, state, dir string) string { return state },
	} {
		t.Run(name, func(t *testing.T) {
			dir := newDir(t)
			state := dir + "/state"
			must(t, os.MkdirAll(state+"/certs/www/versions/1", 0o755))
			must(t, os.Mkdir(state+"/live", 0o755))
			must(t, os.Symlink("../certs/www/versions/1", state+"/live/www"))
			must(t, os.WriteFile(state+"/certs/www/versions/1/cert.pem", []byte("ours"), 0o644))
			b := newPair
			b.StateDir = state
			o := renew.Output{Cert: arrange(t, state, dir) + "/cert.pem"}
			err := Write(o, b)
			if err == nil || !strings.Contains(err.Error(), "the state directory") {
				t.Errorf("%v", err)
			}
			if found := Check(o, b); found.InPlace || !strings.Contains(found.Detail, "the state directory") {
				t.Errorf("%+v", found)
			}
			if err := Conflicts(state, []Claim{{"www", o}}); err == nil || !strings.Contains(err.Error(), "www") {
				t.Errorf("Conflicts: %v", err)
			}
			if got := contentOf(t, state+"/certs/www/versions/1/cert.pem"); got != "ours" {
				t.Errorf("the version holds %q", got)
			}
		})
	}
}

func TestADirectoryBesideTheStateDirectoryIsTheOperatorsOwn(t *testing.T) {
	dir := newDir(t)
	b := newPair
	b.StateDir = dir + "/state"
	must(t, os.MkdirAll(dir+"/state/tls", 0o755))
	must(t, os.Mkdir(dir+"/state-tls", 0o755))
	must(t, os.Symlink("../state-tls", dir+"/state/out")) // leads out of it again
	for _, o := range []renew.Output{{Cert: dir + "/www.crt"}, {Cert: dir + "/state-tls/www.crt"}, {Key: dir + "/state/out/www.key"}} {
		must(t, Write(o, b))
	}
}

func TestAPathIsKnownByWhereItLeads(t *testing.T) {
	realDir, alias := aliased(t)
	dir := filepath.Dir(realDir)
	must(t, os.Symlink("missing", dir+"/dangling"))
	must(t, os.Symlink(dir+"/dangling/deep", dir+"/twice"))
	for path, c := range map[string]struct {
		like string
		want bool
	}{
		alias + "/a.crt":           {realDir + "/a.crt", true},
		alias + "/../alias/a.crt":  {realDir + "/a.crt", true},
		alias + "/b.crt":           {realDir + "/a.crt", false},
		dir + "/a.crt":             {realDir + "/a.crt", false},
		alias + "/new/deep/a.crt":  {realDir + "/new/deep/a.crt", true},
		alias + "/new/a.crt":       {realDir + "/other/a.crt", false},
		dir + "/dangling/a.crt":    {dir + "/missing/a.crt", true},
		dir + "/twice/a.crt":       {dir + "/missing/deep/a.crt", true},
		dir + "/missing/a.crt":     {dir + "/a.crt", false},
		"/no/such/directory/a.crt": {"/no/such/directory/a.crt", true},
	} {
		one, err := PlaceOf(path)
		must(t, err)
		other, err := PlaceOf(c.like)
		must(t, err)
		if (one == other) != c.want {
			t.Errorf("%s like %s: %v", path, c.like, one == other)
		}
	}
	must(t, os.Symlink("loop", dir+"/loop"))
	for _, path := range []string{dir + "/loop/a.crt", "relative/a.crt"} {
		if _, err := PlaceOf(path); err == nil {
			t.Errorf("%s has a place", path)
		}
	}
}

func TestTwoCertificatesAlternateInOneFile(t *testing.T) {
	realDir, alias := aliased(t)
	claims := []Claim{
		{"www", renew.Output{Key: realDir + "/www.key", Fullchain: realDir + "/site.crt"}},
		{"api", renew.Output{Key: alias + "/api.key"}},
		{"mail", renew.Output{Key: alias + "/mail.key", Fullchain: alias + "/site.crt"}},
	}
	err := Conflicts("", claims)
	if err == nil {
		t.Fatal("no conflict")
	}
	for _, want := range []string{"www", "mail", realDir + "/site.crt", alias + "/site.crt"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v: no %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "api") {
		t.Errorf("%v: api is in nobody's way", err)
	}
	must(t, Conflicts("", claims[:2]))
}

func TestConflictsNamesEveryFileThatIsContested(t *testing.T) {
	realDir, alias := aliased(t)
	err := Conflicts(realDir+"/state", []Claim{
		{"www", renew.Output{Key: realDir + "/a", Fullchain: realDir + "/b"}},
		{"www", renew.Output{Key: alias + "/a"}},
		{"mail", renew.Output{Key: alias + "/missing/c", Cert: realDir + "/missing/c", Fullchain: alias + "/b"}},
	})
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("%v", err)
	}
}

// What stops one certificate only is said when it is written, and must not stop
// the configuration of all.
func TestConflictsIsSilentOfPathsThatCanNotBeResolved(t *testing.T) {
	dir := newDir(t)
	must(t, os.WriteFile(dir+"/file", nil, 0o644))
	must(t, os.Symlink("loop", dir+"/loop"))
	must(t, Conflicts(dir, nil))
	must(t, Conflicts(dir+"/no-state-yet", []Claim{
		{"a", renew.Output{Key: dir + "/missing/a.key"}},
		{"b", renew.Output{Key: dir + "/file/b.key"}},
		{"c", renew.Output{Key: dir + "/loop/c.key", Cert: dir + "/loop/c.crt"}},
		{"d", renew.Output{Key: "relative"}},
	}))
}

// A name of our own temporary files: the key staged for the one would be
// published as the other.
func TestAnOutputNamedAsATemporaryFileIsMixedUpWithIt(t *testing.T) {
	dir := newDir(t)
	o := renew.Output{Key: dir + "/.www.crt.tmp", Fullchain: dir + "/www.crt"}
	if err := Write(o, newPair); err == nil || !strings.Contains(err.Error(), "temporary") {
		t.Errorf("%v", err)
	}
	if _, err := os.Lstat(o.Fullchain); err == nil {
		t.Errorf("%q", contentOf(t, o.Fullchain))
	}
}
