package config

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the .want files anew")

// plantedSecret is what no diagnostic may show: fixtures get it from the
// environment, from files, or have a text of it written out.
const plantedSecret = "hunter2-Zm9yIG5vYm9keQ"

// secretTexts are in the fixtures where a secret belongs.
var secretTexts = []string{plantedSecret, "hunter2", "aHVudGVyMg", "no base64"}

// TestBadConfigurations compares the whole report on each broken file.
func TestBadConfigurations(t *testing.T) {
	home, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	dir := copyFixtures(t, "testdata/bad")
	t.Setenv("CERTVIGIL_TEST_SECRET", plantedSecret)
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	t.Chdir(dir)
	broken, err := filepath.Glob("*.hcl*")
	if err != nil || len(broken) < 30 {
		t.Fatalf("%d fixtures, %v: want at least 30", len(broken), err)
	}
	for _, name := range broken {
		t.Run(name, func(t *testing.T) {
			cfg, diags := Load(name)
			if (cfg == nil) != diags.HasErrors() || diags.Len() == 0 {
				t.Errorf("configuration %v with errors %v, %d diagnostics", cfg != nil, diags.HasErrors(), diags.Len())
			}
			got := strings.ReplaceAll(diags.String(), dir, "$DIR")
			for _, secret := range secretTexts {
				if strings.Contains(got, secret) || strings.Contains(diags.Error(), secret) {
					t.Errorf("the report shows the secret %s", secret)
				}
			}
			compare(t, filepath.Join(home, "testdata/bad", strings.SplitN(name, ".", 2)[0]+".want"), got)
		})
	}
}

func compare(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// copyFixtures copies a folder into one of the test's own, with modes that do
// not depend on who checked it out: 0600 for *.secret, 0644 for all else.
func copyFixtures(t *testing.T, from string) string {
	t.Helper()
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		mode := os.FileMode(0o644)
		if filepath.Ext(e.Name()) == ".secret" {
			mode = 0o600
		}
		writeFile(t, filepath.Join(dir, e.Name()), string(text), mode)
	}
	return dir
}

func writeFile(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask
		t.Fatal(err)
	}
}
