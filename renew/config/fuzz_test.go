package config

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzLoad asserts what holds for any text: no panic (one that Load recovers
// from counts), and a configuration exactly where there is no error.
func FuzzLoad(f *testing.F) {
	paths, err := filepath.Glob("testdata/*/*.hcl*")
	if err != nil || len(paths) < 30 {
		f.Fatalf("%d seeds, %v", len(paths), err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, strings.HasSuffix(path, ".json"))
	}
	f.Add([]byte("locals { a = \"${\"${\"${1}\"}\"}\" }"), false)
	f.Add([]byte("\xef\xbb\xbflocals {\r\n a = <<X\r\n ${local.a}\r\nX\r\n}"), false)
	f.Fuzz(func(t *testing.T, text []byte, asJSON bool) {
		name := "c.hcl"
		if asJSON {
			name = "c.hcl.json"
		}
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, diags := Load(path)
		if (cfg == nil) != diags.HasErrors() {
			t.Errorf("configuration %v with\n%s", cfg != nil, diags.String())
		}
		if socket := SocketOf(path); cfg != nil && socket != cfg.Agent.Socket {
			t.Errorf("the socket is %q alone and %q in all", socket, cfg.Agent.Socket)
		}
		if report := diags.String(); strings.Contains(report, "defect of certvigil") || strings.ContainsAny(report, "\x1b\x00\r") {
			t.Errorf("the report is\n%q", report)
		}
		if asJSON {
			return
		}
		once, _, err := Format(name, text)
		if err != nil {
			return
		}
		if again, _, err := Format(name, once); err != nil || !bytes.Equal(again, once) {
			t.Errorf("formatting again changes %q: %v", once, err)
		}
	})
}

// TestNestingIsBounded has what would overflow the stack of a parser, or of
// what evaluates its result.
func TestNestingIsBounded(t *testing.T) {
	const many = 30_000
	deep := map[string]string{
		"lists":        "locals {\n  x = " + strings.Repeat("[", many) + "\n}\n",
		"parentheses":  "locals {\n  x = " + strings.Repeat("(", many) + "1" + strings.Repeat(")", many) + "\n}\n",
		"blocks":       strings.Repeat("a {\n", many),
		"not":          "locals {\n  x = " + strings.Repeat("!", many) + "true\n}\n",
		"minus":        "locals {\n  x = " + strings.Repeat("-", many) + "1\n}\n",
		"conditionals": "locals {\n  x = " + strings.Repeat("true?1:", many) + "1\n}\n",
		"sums":         "locals {\n  x = 1" + strings.Repeat("+1", many) + "\n}\n",
		"sums of sums": "locals {\n  x = [1,2]" + strings.Repeat("+[1]", many) + "\n}\n",
		"templates":    "locals {\n  x = " + strings.Repeat(`"${`, many) + "1\n}\n",
		"directives":   "locals {\n  x = \"" + strings.Repeat("%{if true}", many/2) + "\"\n}\n",
		"indices":      "locals {\n  x = [1]" + strings.Repeat("[0]", many) + "\n}\n",
		"splats":       "locals {\n  x = [1]" + strings.Repeat(".*", many) + "\n}\n",
	}
	for name, text := range deep {
		cfg, diags := loadText(t, text)
		if cfg != nil || !strings.Contains(diags.String(), "nests too deep") {
			t.Errorf("%s: %.300s", name, diags.String())
		}
	}
	for name, text := range map[string]string{
		"lists":     strings.Repeat("[", many),
		"objects":   strings.Repeat(`{"a":`, many),
		"templates": `{"locals": {"x": "${` + strings.Repeat("!", many) + `true}"}}`,
	} {
		path := filepath.Join(t.TempDir(), "c.hcl.json")
		writeFile(t, path, text, 0o644)
		if cfg, diags := Load(path); cfg != nil || !strings.Contains(diags.String(), "nests too deep") {
			t.Errorf("JSON %s: %.300s", name, diags.String())
		}
	}
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "deep.json"), strings.Repeat("[", many)+strings.Repeat("]", many), 0o644)
	writeFile(t, filepath.Join(dir, "c.hcl"), "locals {\n  x = jsondecode(file(\"deep.json\"))\n}\n", 0o644)
	if _, diags := Load(filepath.Join(dir, "c.hcl")); !strings.Contains(diags.String(), "nests too deep") {
		t.Errorf("jsondecode: %.300s", diags.String())
	}
}
