package config

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const untidy = "agent {\nstate_dir=\"/srv/x\"\n    listen   =   \"127.0.0.1:1\" # here\n}\n"
const tidy = "agent {\n  state_dir = \"/srv/x\"\n  listen    = \"127.0.0.1:1\" # here\n}\n"

func TestFormat(t *testing.T) {
	for in, want := range map[string]string{
		untidy:                  tidy,
		tidy:                    tidy,
		"\xef\xbb\xbf" + tidy:   tidy,
		"":                      "",
		"locals {\n a=\"é\"\n}": "locals {\n  a = \"é\"\n}",
	} {
		got, diff, err := Format("c.hcl", []byte(in))
		if err != nil || string(got) != want || (diff == "") != (in == want) {
			t.Errorf("Format(%q) = %q, %q, %v; want %q", in, got, diff, err, want)
		}
	}
}

func TestFormatIsIdempotent(t *testing.T) {
	paths, err := filepath.Glob("testdata/*/*.hcl")
	if err != nil || len(paths) < 30 {
		t.Fatalf("%d files, %v", len(paths), err)
	}
	formatted := 0
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		once, _, err := Format(path, text)
		if err != nil {
			continue // some of them do not parse
		}
		formatted++
		if again, diff, err := Format(path, once); err != nil || diff != "" || !bytes.Equal(again, once) {
			t.Errorf("%s: the second time changes it again: %v\n%s", path, err, diff)
		}
	}
	if formatted < 30 {
		t.Errorf("only %d files parse", formatted)
	}
}

func TestFormatFileReplacesInPlace(t *testing.T) {
	dir := t.TempDir()
	real, link := filepath.Join(dir, "real.hcl"), filepath.Join(dir, "link.hcl")
	writeFile(t, real, untidy, 0o640)
	if err := os.Chown(real, os.Getuid(), os.Getgid()); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		if err := os.Chown(real, 12345, 23456); err != nil {
			t.Fatal(err)
		}
	}
	before := owner(t, real)
	if err := os.Symlink("real.hcl", link); err != nil {
		t.Fatal(err)
	}
	changed, diff, err := FormatFile(link, false)
	if text, _ := os.ReadFile(real); err != nil || !changed || string(text) != untidy {
		t.Fatalf("without writing: %v, %v, %q", changed, err, text)
	}
	if !strings.Contains(diff, "-state_dir=\"/srv/x\"\n+  state_dir = \"/srv/x\"\n") || !strings.Contains(diff, " agent {\n") {
		t.Errorf("difference\n%s", diff)
	}
	if changed, _, err := FormatFile(link, true); err != nil || !changed {
		t.Fatalf("writing: %v, %v", changed, err)
	}
	if text, _ := os.ReadFile(real); string(text) != tidy {
		t.Errorf("written: %q", text)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the symbolic link was replaced: %v, %v", info, err)
	}
	if after := owner(t, real); after != before {
		t.Errorf("owner and mode %v, before %v", after, before)
	}
	if changed, diff, err := FormatFile(link, true); changed || diff != "" || err != nil {
		t.Errorf("once more: %v, %q, %v", changed, diff, err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 2 {
		t.Errorf("left behind: %v", entries)
	}
}

type ownership struct {
	mode     os.FileMode
	uid, gid uint32
}

func owner(t *testing.T, path string) ownership {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	sys := info.Sys().(*syscall.Stat_t)
	return ownership{info.Mode(), sys.Uid, sys.Gid}
}

func TestFormatFileRefuses(t *testing.T) {
	dir := t.TempDir()
	broken, jsonFile := filepath.Join(dir, "broken.hcl"), filepath.Join(dir, "x.hcl.json")
	writeFile(t, broken, "agent {\n", 0o644)
	writeFile(t, jsonFile, "{}", 0o644)
	_, _, err := FormatFile(broken, true)
	if diags, ok := errors.AsType[Diagnostics](err); !ok || !strings.Contains(diags.String(), "broken.hcl:1") {
		t.Errorf("a broken file: %v", err)
	}
	if text, _ := os.ReadFile(broken); string(text) != "agent {\n" {
		t.Errorf("a broken file was written: %q", text)
	}
	for _, path := range []string{jsonFile, dir, filepath.Join(dir, "none.hcl")} {
		if changed, _, err := FormatFile(path, true); err == nil || changed {
			t.Errorf("%s: %v, %v", path, changed, err)
		}
	}
}

func TestDifferenceHidesSecrets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.hcl")
	writeFile(t, path, "issuer \"le\" {\neab {\nkey_id=\"kid\"\nhmac_key=\""+plantedSecret+"\"\n}\n}\n", 0o600)
	_, diff, err := FormatFile(path, false)
	if err != nil || strings.Contains(diff, plantedSecret) || !strings.Contains(diff, hiddenLine) || !strings.Contains(diff, "kid") {
		t.Errorf("%v\n%s", err, diff)
	}
}
