package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestAFileThatIsMissedIsAmongTheSources(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	missing, config := filepath.Join(dir, "missing"), filepath.Join(dir, "c.hcl")
	for name, text := range map[string]string{
		"trust_roots":  strings.Replace(minimal, "agree_terms", "trust_roots = \"missing\"\n agree_terms", 1),
		"file()":       minimal + "locals {\n  x = file(\"missing\")\n}\n",
		"fileset()":    minimal + "locals {\n  x = fileset(\"missing\", \"*\")\n}\n",
		"credential()": minimal + "locals {\n  x = credential(\"missing\")\n}\n",
	} {
		writeFile(t, config, text, 0o644)
		cfg, sources, diags := LoadWithSources(config)
		if cfg != nil || !diags.HasErrors() || !slices.Equal(sources, []string{config, missing}) {
			t.Errorf("%s: sources %q, want %q and %q; %s", name, sources, config, missing, diags)
		}
	}
}

func TestARefusedConfigurationHasSources(t *testing.T) {
	dir := t.TempDir()
	broken, folder := filepath.Join(dir, "a.hcl"), filepath.Join(dir, "conf.d")
	if _, sources, _ := LoadWithSources(broken); !slices.Equal(sources, []string{broken}) {
		t.Errorf("of a file that is not there: %q", sources)
	}
	writeFile(t, broken, "issuer {", 0o644)
	if _, sources, _ := LoadWithSources(dir); !slices.Equal(sources, []string{dir, broken}) {
		t.Errorf("of a file that does not parse: %q", sources)
	}
	if _, sources, _ := load("", options{file: broken, folder: folder}); !slices.Equal(sources, []string{broken, folder}) {
		t.Errorf("of the default places without the folder: %q", sources)
	}
	cfg, sources, _ := LoadWithSources(filepath.Join(goodFixtures(t), "full.hcl"))
	if cfg == nil || !slices.Equal(sources, cfg.Sources) {
		t.Errorf("of one that is good: %q", sources)
	}
}

func TestTheSocketIsKnownWhateverElseIsWrong(t *testing.T) {
	const here = "agent {\n  socket = \"/srv/cv.sock\"\n}\n"
	dir := t.TempDir()
	for i, c := range []struct{ name, text, want string }{
		{"nothing is wrong", minimal + here, "/srv/cv.sock"},
		{"a block without an end after it", here + minimal + "certificate \"www\" {", "/srv/cv.sock"},
		{"nonsense after it", here + "nonsense {", "/srv/cv.sock"},
		{"nonsense before it", "x = = 1\n" + here, "/srv/cv.sock"},
		{"an unknown argument beside it", "agent {\n  sockte = 1\n  socket = \"/srv/cv.sock\"\n}\n", "/srv/cv.sock"},
		{"a file is missing", here + "locals {\n  x = file(\"gone\")\n}\n", "/srv/cv.sock"},
		{"it is computed", "locals {\n  run = \"/srv\"\n}\nagent {\n  socket = \"${local.run}/cv.sock\"\n}\nissuer {", "/srv/cv.sock"},
		{"there is none", minimal + "issuer {", DefaultSocket},
		{"it can't be computed", "agent {\n  socket = local.gone\n}\n", DefaultSocket},
		{"it is no path", "agent {\n  socket = 7\n}\n", DefaultSocket},
		{"it nests without end", here + "locals {\n  x = " + strings.Repeat("[", 1000), DefaultSocket},
	} {
		path := filepath.Join(dir, fmt.Sprintf("%d.hcl", i))
		writeFile(t, path, c.text, 0o644)
		if got := SocketOf(path); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	path := filepath.Join(dir, "x.hcl.json")
	writeFile(t, path, `{"agent": {"socket": "/srv/cv.sock"}, "issuer": 7}`, 0o644)
	if got := SocketOf(path); got != "/srv/cv.sock" {
		t.Errorf("in JSON: %q", got)
	}
	if got := SocketOf(filepath.Join(dir, "none.hcl")); got != DefaultSocket {
		t.Errorf("of a file that is not there: %q", got)
	}
	split := t.TempDir()
	writeFile(t, filepath.Join(split, "1.hcl"), "issuer {", 0o644)
	writeFile(t, filepath.Join(split, "2.hcl"), here, 0o644)
	if got := SocketOf(split); got != "/srv/cv.sock" {
		t.Errorf("with another file broken: %q", got)
	}
	if got := socketOf("", options{file: filepath.Join(split, "2.hcl"), folder: filepath.Join(split, "none")}); got != "/srv/cv.sock" {
		t.Errorf("in the default places: %q", got)
	}
}

func TestFormatRefusesWhatDoesNotParse(t *testing.T) {
	formatted, diff, err := Format("standard input", []byte("agent {\nx=1"))
	if formatted != nil || diff != "" || err == nil || !strings.HasPrefix(err.Error(), "standard input:1: error: ") {
		t.Errorf("%q, %q, %v", formatted, diff, err)
	}
}

// Who looks from outside of the service has none of what it is given.
func TestAnOutlineNeedsNothingThatIsNamed(t *testing.T) {
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	path := filepath.Join(t.TempDir(), "c.hcl")
	text := `
issuer "le" {
  directory   = "https://ca.internal/directory"
  agree_terms = true
  trust_roots = "/nowhere/roots.pem"
  eab {
    key_id   = "kid-1"
    hmac_key = credential("eab")
  }
}
solver "webroot" "site" { path = "/nowhere/html" }
` + minimalCert
	writeFile(t, path, text, 0o644)
	if cfg, _ := Load(path); cfg != nil {
		t.Fatal("Load finds what is not there")
	}
	cfg, diags := Outline(path)
	if cfg == nil || len(cfg.Certs) != 1 || !slices.Contains(cfg.Sources, path) {
		t.Fatalf("%+v %s", cfg, diags)
	}
	writeFile(t, path, text+"certificate \"www\" {}\n", 0o644)
	if cfg, diags := Outline(path); cfg != nil || !diags.HasErrors() {
		t.Error("a mistake passes")
	}
}

// Who looks on from outside has no credentials: what stands in for a password
// would open nothing, and every keystore would look as if it had drifted.
func TestAnOutlineHasNoPasswords(t *testing.T) {
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	path := filepath.Join(t.TempDir(), "c.hcl")
	writeFile(t, path, minimal+"certificate \"www\" {\n  names = [\"example.com\"]\n  install \"jks\" {\n    path = \"/etc/x.jks\"\n    password = credential(\"pw\")\n  }\n}\n", 0o600)
	cfg, diags := Outline(path)
	if diags.HasErrors() || cfg.Certs[0].Outputs[0].Password != nil {
		t.Errorf("%s, %+v", diags.String(), cfg)
	}
}
