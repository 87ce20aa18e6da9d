package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSecretIsNeverPrinted(t *testing.T) {
	s := NewSecret(plantedSecret)
	holder := struct {
		Key  Secret
		Keys map[Secret]*Secret
	}{s, map[Secret]*Secret{s: &s}}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%T"} {
		fmt.Fprintf(&out, verb+"\n", s)
		fmt.Fprintf(&out, verb+"\n", holder)
	}
	text, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(text)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "secret", s, "holder", holder)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "secret", s, "holder", holder)
	fmt.Fprintln(&out, s, s.String(), s.GoString(), fmt.Errorf("error %v", s))
	if text, err := s.MarshalText(); err != nil || string(text) != "(secret)" {
		t.Errorf("MarshalText: %q, %v", text, err)
	}
	for _, shown := range []string{plantedSecret, fmt.Sprintf("%x", plantedSecret), fmt.Sprintf("%X", plantedSecret)} {
		if strings.Contains(out.String(), shown) {
			t.Errorf("the secret is printed in\n%s", out.String())
		}
	}
	if s.Reveal() != plantedSecret {
		t.Errorf("Reveal returns %q", s.Reveal())
	}
}

// TestSecretsBesideErrors plants a secret on the very line that has an error,
// in each way that it can get there.
func TestSecretsBesideErrors(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "shut.txt"), plantedSecret, 0o600)
	writeFile(t, filepath.Join(dir, "cred"), plantedSecret, 0o600)
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	t.Setenv("CERTVIGIL_TEST_SECRET", plantedSecret)
	const issuer = "issuer \"le\" {\n  directory = \"letsencrypt\"\n  agree_terms = true\n  %s\n}\n"
	inInstall := func(text string) string {
		return "solver \"http\" \"main\" {}\n" + "certificate \"www\" {\n  names = [\"example.com\"]\n  install \"pkcs12\" {\n    " + text + "\n  }\n}\n"
	}
	inIssuer := func(text string) string { return fmt.Sprintf(issuer, text) }
	for name, text := range map[string]string{
		"a literal in a block on one line":      inIssuer(`eab { hmac_key = "PLANTED !" }`),
		"a literal in a wrong type":             inIssuer("eab {\n    key_id = \"k\"\n    hmac_key = [\"PLANTED\"]\n  }"),
		"a literal in a heredoc":                inIssuer("eab {\n    key_id = \"k\"\n    hmac_key = <<-X\n      PLANTED !\n    X\n  }"),
		"a literal in a call":                   inIssuer("eab {\n    key_id = \"k\"\n    hmac_key = trimspac(\"PLANTED\")\n  }"),
		"a literal in a template":               inIssuer("eab {\n    key_id = \"k\"\n    hmac_key = \"PLANTED${local.none}\"\n  }"),
		"a literal under a misspelled name":     inIssuer("eab {\n    key_id = \"k\"\n    hmac = \"PLANTED\"\n  }"),
		"a literal for a password":              inInstall("password = \"PLANTED\"\n    password = 1"),
		"a literal under a misspelled password": inInstall("pasword = \"PLANTED\""),
		"a literal in a call that fails":        inInstall("password = split(\"PLANTED\", 1)"),
		"a literal in a misspelled block":       inIssuer("eba {\n    hmac_key = \"PLANTED\"\n  }") + "hmac_key = \"PLANTED\"\n",
		"a literal in an argument for a block":  inIssuer("eab = { key_id = \"k\", hmac_key = \"PLANTED\" }"),
		"a literal in a local of its own":       "locals {\n  k = [\"PLANTED\", local.none]\n}\n" + inIssuer("eab {\n    key_id = \"k\"\n    hmac_key = local.k\n  }"),
		"a literal in an object of a local":     "locals {\n  k = { hmac_key = \"PLANTED\", \"token\" = \"PLANTED\", x = local.none }\n}\n",
		"a literal in a URL":                    strings.Replace(inIssuer(""), "letsencrypt\"", "https://u:PLANTED@ca.internal/d\"", 1),
		"a literal in a file that does not end": inIssuer("eab {\n    key_id = \"k\"\n    hmac_key = \"PLANTED\n  }"),
		"a literal behind a missing equals":     inIssuer("eab {\n    hmac_key \"PLANTED\"\n  }"),
		"a literal in a local, cut short":       "locals {\n  k = \"PLANTED\n}\n" + inIssuer("eab {\n    hmac_key = local.k\n  }"),
		"an open heredoc":                       inIssuer("eab {\n    hmac_key = <<X\n  PLANTED ${\n"),
		"credentials of a solver to come":       "solver \"dns\" \"x\" { credentials = { T = \"PLANTED\" } }\n",
		"env in a name":                         minimal + "certificate \"w\" {\n  names = [\"a b\", env(\"CERTVIGIL_TEST_SECRET\")]\n}\n",
		"env in a computed name":                minimal + "certificate \"w\" {\n  names = split(\",\", \"a b,${env(\"CERTVIGIL_TEST_SECRET\")}\")\n}\n",
		"env as a label of for_each":            minimal + "certificate \"w\" {\n  for_each = { (env(\"CERTVIGIL_TEST_SECRET\")) = 1 }\n  names = [each.key]\n}\n",
		"env as a value of for_each":            minimal + "certificate \"w\" {\n  for_each = { a = env(\"CERTVIGIL_TEST_SECRET\") }\n  names = [each.value, \"a b\"]\n}\n",
		"a credential in a number":              minimal + "locals {\n  x = credential(\"cred\") + 1\n}\n",
		"a credential as an index":              minimal + "locals {\n  x = { a = 1 }[credential(\"cred\")]\n}\n",
		"a credential as a path":                minimal + "locals {\n  x = file(credential(\"cred\"))\n}\n",
		"a credential as a variable's name":     minimal + "locals {\n  x = env(credential(\"cred\"))\n}\n",
		"a credential as a credential's name":   minimal + "locals {\n  x = credential(credential(\"cred\"))\n}\n",
		"a credential as a glob":                minimal + "locals {\n  x = fileset(\".\", credential(\"cred\"))\n}\n",
		"a credential through a local":          minimal + "locals {\n  x = credential(\"cred\")\n  y = local.x\n}\nhook \"h\" {\n  test = [local.y]\n  reload { unit = local.y }\n}\n",
		"a credential as a duration":            minimal + "hook \"h\" {\n  timeout = credential(\"cred\")\n  each = credential(\"cred\")\n  reload { unit = \"a.service\" }\n}\n",
		"a shut file as JSON":                   minimal + "locals {\n  x = jsondecode(file(\"shut.txt\"))\n}\n",
		"a shut file as a key":                  inIssuer("eab {\n    key_id = file(\"shut.txt\")\n    hmac_key = \"${file(\"shut.txt\")} !\"\n  }"),
		"a condition over a secret":             minimal + "locals {\n  x = credential(\"cred\") == \"PLANTED\" ? [] : {}\n}\n" + inIssuer("profile = local.x"),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, "c.hcl")
			writeFile(t, path, strings.ReplaceAll(text, "PLANTED", plantedSecret), 0o600)
			_, diags := Load(path)
			report := diags.String()
			if !diags.HasErrors() {
				t.Fatalf("no error:\n%s", report)
			}
			if strings.Contains(report, "defect") {
				t.Errorf("a panic:\n%s", report)
			}
			if strings.Contains(report, plantedSecret) || strings.Contains(fmt.Sprintf("%#v", diags), plantedSecret) {
				t.Errorf("the secret is shown:\n%s", report)
			}
		})
	}
}

func TestJSONSecretsBesideErrors(t *testing.T) {
	for _, text := range []string{
		`{"issuer": {"le": {"directory": 1, "eab": {"hmac_key": "PLANTED"}}}}`,
		"{\"issuer\": {\"le\": {\"eab\": [{\"key_id\": 1, \"hmac_ky\":\n\"PLANTED\"}]}}}",
		`{"issuer": {"le": {"eab": {"hmac_key": PLANTED}}}}`,
		"{\"issuer\": {\"le\": {\"eab\": {\"hmac_key\":\n\"PLANTED }}}}",
		`{"solver": {"dns": {"x": {"credentials": {"T": "PLANTED"}}}}}`,
		`{"issuer": {"le": {"eab": {"hmac_key": "${upper(\"PLANTED\")}"}}}}`,
	} {
		path := filepath.Join(t.TempDir(), "c.hcl.json")
		writeFile(t, path, strings.ReplaceAll(text, "PLANTED", plantedSecret), 0o600)
		_, diags := Load(path)
		if !diags.HasErrors() || strings.Contains(diags.String(), plantedSecret) {
			t.Errorf("%s\n%s", text, diags.String())
		}
	}
}

func TestLiteralSecretInAnOpenFileIsWarnedOf(t *testing.T) {
	text := "issuer \"le\" {\n  directory = \"letsencrypt\"\n  agree_terms = true\n  eab {\n    key_id = \"k\"\n    hmac_key = \"" + "aHVudGVyMg" + "\"\n  }\n}\n"
	path := filepath.Join(t.TempDir(), "c.hcl")
	for mode, want := range map[os.FileMode]bool{0o644: true, 0o640: false} {
		writeFile(t, path, text, mode)
		cfg, diags := Load(path)
		if cfg == nil || strings.Contains(diags.String(), "everybody on this host can read") != want {
			t.Errorf("mode %o:\n%s", mode, diags.String())
		}
	}
}

func TestWhatFileReturnsIsSecretByItsMode(t *testing.T) {
	dir := t.TempDir()
	path, names := filepath.Join(dir, "c.hcl"), filepath.Join(dir, "names.txt")
	writeFile(t, path, minimal+"certificate \"w\" {\n  names = [trimspace(file(\"names.txt\"))]\n}\n", 0o644)
	writeFile(t, names, "example.com\n", 0o644)
	if cfg := mustLoad(t, path); cfg.Certs[0].Names[0] != "example.com" {
		t.Errorf("names %q", cfg.Certs[0].Names)
	}
	writeFile(t, names, "example.com\n", 0o640)
	if _, diags := Load(path); !strings.Contains(diags.Error(), "a secret can't stand here") {
		t.Errorf("of a shut file: %s", diags.String())
	}
}
