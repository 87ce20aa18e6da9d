package config

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// moduleRoot is where go.mod lies.
func moduleRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("there is no go.mod above this package")
		}
		dir = filepath.Dir(dir)
	}
}

// loadExample checks text as far as it can be checked on any machine: what it
// names on disk does not have to exist. A document may show a part of a
// configuration; what it leaves out must be in another block of it.
func loadExample(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "example.hcl")
	writeFile(t, path, text, 0o600)
	cfg, _, diags := load(path, options{skipFiles: true})
	if cfg == nil || diags.Len() > 0 {
		t.Errorf("%s:\n%s", name, diags.String())
	}
	if _, diff, err := Format(name, []byte(text)); err != nil || diff != "" {
		t.Errorf("%s is not formatted: %v\n%s", name, err, diff)
	}
}

// fenced returns the blocks of a Markdown text between ```hcl and ```.
func fenced(text string) []string {
	var blocks []string
	var block strings.Builder
	within := false
	for line := range strings.Lines(text) {
		switch mark := strings.TrimSpace(line); {
		case !within && mark == "```hcl":
			within = true
		case within && mark == "```":
			blocks = append(blocks, block.String())
			block.Reset()
			within = false
		case within:
			block.WriteString(line)
		}
	}
	return blocks
}

func TestDocumentedConfigurationsLoad(t *testing.T) {
	root := moduleRoot(t)
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if len(fenced(string(readme))) == 0 {
		t.Error("README.md shows no configuration: it has no block fenced by ```hcl")
	}
	documents, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(documents, filepath.Join(root, "README.md")) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i, block := range fenced(string(text)) {
			loadExample(t, fmt.Sprintf("%s, block %d", filepath.Base(path), i+1), block)
		}
	}
}

func TestExamplesLoad(t *testing.T) {
	examples := filepath.Join(moduleRoot(t), "examples")
	err := filepath.WalkDir(examples, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || filepath.Ext(path) != ".hcl" {
			return err
		}
		text, err := os.ReadFile(path)
		if err == nil {
			loadExample(t, path, string(text))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestSkippedFiles holds the option of the tests above to what it is for.
func TestSkippedFiles(t *testing.T) {
	loadExample(t, "an example with files", `issuer "ca" {
  directory   = "https://ca.internal/acme/acme/directory"
  agree_terms = true
  trust_roots = "/nonexistent/root.pem"
  eab {
    key_id   = "kid"
    hmac_key = credential("ca-eab")
  }
}
solver "webroot" "site" { path = "/nonexistent/html" }
certificate "sites" {
  for_each = fileset("/nonexistent", "*.txt")
  names    = [each.key]
}
`)
}
