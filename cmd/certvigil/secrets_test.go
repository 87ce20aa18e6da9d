package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/certvigil/certvigil/renew/issue/acmetest"
)

// secrets are the byte strings that nobody but the agent and root may see.
type secrets map[string][]byte

// add adds every form in which a secret may slip out.
func (s secrets) add(name string, raw []byte) {
	s[name+", raw"] = raw
	s[name+", hex"] = []byte(hex.EncodeToString(raw))
	s[name+", base64url"] = []byte(base64.RawURLEncoding.EncodeToString(raw))
	s[name+", base64"] = []byte(base64.RawStdEncoding.EncodeToString(raw))
}

// addKeys adds what every private key below a folder is made of.
func (s secrets) addKeys(t *testing.T, dir string) {
	t.Helper()
	n := 0
	must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if block, _ := pem.Decode(data); err == nil && block != nil && strings.Contains(block.Type, "PRIVATE KEY") {
			n++
			lines := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
			s[path+", PEM"] = lines[1]
			s.add(path, block.Bytes)
			s[path+", scalar"] = block.Bytes[36:68] // of a P-256 key in PKCS #8
		}
		return err
	}))
	if n < 3 {
		t.Fatalf("%d keys in %s", n, dir)
	}
}

// search fails the test where one of the secrets is in text.
func (s secrets) search(t *testing.T, where string, text []byte) {
	t.Helper()
	if len(text) == 0 {
		t.Errorf("%s: nothing to search", where)
	}
	for name, secret := range s {
		if bytes.Contains(text, secret) {
			t.Errorf("%s shows the secret %s", where, name)
		}
	}
}

func TestNoSecretLeavesTheAgent(t *testing.T) {
	t.Parallel()
	hmac := bytes.Repeat([]byte("certvigil-hmac!!"), 2)
	encoded := base64.RawURLEncoding.EncodeToString(hmac)
	page := fmt.Sprintf("127.0.0.1:%d", ports(t, 1)[0])
	h := newHost(t, setup{ca: acmetest.Options{EAB: map[string]string{"kid-1": encoded}}, change: func(h *host) {
		h.cfg.Issuer = `eab {
    key_id   = "kid-1"
    hmac_key = credential("eab")
  }`
		h.cfg.Page = page
		must(h.t, os.Mkdir(h.path("credentials"), 0o700))
		must(h.t, os.WriteFile(h.path("credentials/eab"), []byte(encoded+"\n"), 0o600))
		h.env = []string{"CREDENTIALS_DIRECTORY=" + h.path("credentials")}
		dump := "env >>" + h.path("dump") + "; cat >>" + h.path("dump") + "; cat /proc/$$/cmdline >>" + h.path("dump")
		h.cfg.Test = nil
		h.cfg.Reload = h.script("hook", dump+"\n"+h.reloadLine())
		h.flags = []string{"--log-level", "debug"}
	}})
	// A CA that says back whatever it was sent, then an honest one.
	h.gate.set(on(toAccount, func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		body, _ := io.ReadAll(r.Body)
		reply(400, "application/problem+json", fmt.Sprintf(`{"type":"urn:ietf:params:acme:error:malformed","detail":%q}`, body))(w, r)
	}))
	h.start()
	h.troubled()
	h.gate.set(nil)
	outputs := map[string]answer{"renew": h.ask("renew", "www")}
	h.served("www", 1)
	h.request("www")
	h.served("www", 2)
	for _, argv := range [][]string{{"status"}, {"status", "--json"}, {"plan"}, {"plan", "--json"}, {"validate"}} {
		outputs[strings.Join(argv, " ")] = h.ask(argv...)
	}
	broken, err := os.ReadFile(h.config)
	must(t, err)
	h.replace(strings.Replace(string(broken), `credential("eab")`, `"`+encoded+`" nonsense`, 1))
	h.hangUp()
	h.await("configuration refused, the one before stays in force", "")
	outputs["validate, broken"] = h.ask("validate")
	outputs["status, broken"] = h.ask("status")

	s := secrets{"EAB key": []byte(encoded)}
	s.add("EAB key", hmac)
	s.addKeys(t, h.cfg.State)
	for what, got := range outputs {
		s.search(t, what, []byte(got.all))
	}
	for _, path := range []string{"/", "/status.json"} {
		s.search(t, "the page "+path, fetch(t, "http://"+page+path))
	}
	for _, file := range []string{h.path("agent.log"), h.path("dump"), fmt.Sprintf("/proc/%d/cmdline", h.run.cmd.Process.Pid), fmt.Sprintf("/proc/%d/environ", h.run.cmd.Process.Pid)} {
		data, err := os.ReadFile(file)
		must(t, err)
		s.search(t, file, data)
	}
	s.searchReadable(t, h.cfg.State)
}

// searchReadable looks into every file that others may read, and at every mode.
func (s secrets) searchReadable(t *testing.T, dir string) {
	t.Helper()
	read := 0
	must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		st, err := e.Info()
		if err != nil || st.Mode().Perm()&0o044 == 0 {
			return err
		}
		if strings.Contains(path, "accounts") || strings.HasSuffix(path, "privkey.pem") {
			t.Errorf("%s has mode %04o", path, st.Mode().Perm())
		}
		data, err := os.ReadFile(path)
		if len(data) > 0 && err == nil {
			read++
			s.search(t, path, data)
		}
		return err
	}))
	if read < 5 {
		t.Errorf("%d files of %s may be read by others", read, dir)
	}
}

func fetch(t *testing.T, url string) []byte {
	t.Helper()
	answer, err := http.Get(url)
	must(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	must(t, err)
	return body
}
